"""A book's plain values go in, TOML text in the layout of the shipped books comes out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Table = Mapping[str, Any]


def write(table: Table, comment: str = "") -> str:
    """The text of ``table``: plain keys first, then its tables and lists of tables, each under its header."""
    head = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*head, *_table(table, "")]).lstrip("\n") + "\n"


def _table(table: Table, path: str) -> Iterator[str]:
    for key, value in table.items():
        if not _nested(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        here = f"{path}.{_key(key)}" if path else _key(key)
        if isinstance(value, Mapping):
            yield from ("", f"[{here}]", *_table(value, here))
        elif _nested(value):
            for item in value:
                yield from ("", f"[[{here}]]", *_table(item, here))


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(key: str) -> str:
    bare = key and all(one.isascii() and (one.isalnum() or one in "_-") for one in key)
    return key if bare else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
