"""A TOML text goes in, the line of every key path comes out, so that an error can say file and line.

tomllib keeps no positions; this scanner only reads headers and the keys at the start of a statement, which is all that
a message needs. Keys inside an inline table are found at the line of the statement that holds them.
"""

import re

Path = tuple[str | int, ...]
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")


def lines_of(text: str) -> dict[Path, int]:
    """Line (from 1) of every table header and key of ``text``; array tables carry their index in the path."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    prefix: Path = ()
    depth, fence = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if depth == 0 and not fence:
            header = _HEADER.match(line)
            if header:
                prefix = _enter(_parts(header[2]), header[1] == "[[", counts)
                found.setdefault(prefix, number)
                continue
            key = _KEY.match(line)
            if key:
                found.setdefault(prefix + _parts(key[1]), number)
        depth, fence = _after(line, depth, fence)
    return found


def line_of(found: dict[Path, int], path: Path) -> int:
    """Line of ``path`` (of a list of tables, its first) or of the nearest table around it; 0 if there is none."""
    while path:
        for here in (path, (*path, 0)):
            if here in found:
                return found[here]
        path = path[:-1]
    return 0


def _parts(dotted: str) -> Path:
    return tuple(a or b or c for a, b, c in _PART.findall(dotted))


def _enter(parts: Path, is_array: bool, counts: dict[Path, int]) -> Path:
    """The path of a header, with the index of the current element after each array table on the way."""
    path: Path = ()
    for part in parts[:-1]:
        path += (part,)
        if path in counts:
            path += (counts[path],)
    path += parts[-1:]
    if is_array:
        counts[path] = counts.get(path, -1) + 1
        path += (counts[path],)
    return path


def _after(line: str, depth: int, fence: str) -> tuple[int, str]:
    """Bracket depth and open multi-line quote after ``line``."""
    at = 0
    while at < len(line):
        if fence:
            end = line.find(fence, at)
            if end < 0:
                return depth, fence if len(fence) == 3 else ""
            at, fence = end + len(fence), ""
            continue
        char = line[at]
        if char == "#":
            break
        if char in "\"'":
            fence = char * 3 if line.startswith(char * 3, at) else char
            at += len(fence)
            continue
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(char, 0)
        at += 1
    return depth, fence if len(fence) == 3 else ""
