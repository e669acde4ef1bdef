"""Plain Python values go in, TOML text comes out: just what a tariff book needs."""

import json
from typing import Any


def value(item: Any) -> str:
    """One TOML value on one line."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, (str, int)):
        return json.dumps(item, ensure_ascii=False)
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(value(one) for one in item) + "]"
    if isinstance(item, dict):
        pairs = (f"{json.dumps(key, ensure_ascii=False)} = {value(one)}" for key, one in item.items())
        return "{" + ", ".join(pairs) + "}"
    raise TypeError(f"{item!r} has no place in a tariff book")


def document(table: dict[str, Any]) -> str:
    """A book: plain keys first, then its versions as array tables."""
    lines = [f"{key} = {value(item)}" for key, item in table.items() if key != "version"]
    for version in table["version"]:
        lines += ["", "[[version]]"]
        lines += [f"{key} = {value(item)}" for key, item in version.items()]
    return "\n".join(lines) + "\n"
