"""The configuration's records go in, rows that explain each setting come out: for ``config schema`` and docs."""

import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any

from prewatt.config import Config, Tables
from prewatt.home import CONFIG
from prewatt.strict import parse
from tariff.locate import line_of

Row = dict[str, Any]
_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def settings(kind: type = Tables, prefix: str = "", about: str = "") -> list[Row]:
    """One row per setting: key, type, default ("" = must be given) and meaning."""
    rows: list[Row] = []
    hints = typing.get_type_hints(kind)
    for f in fields(kind):
        hint, key = hints[f.name], f"{prefix}{f.name}"
        args = typing.get_args(hint)
        if is_dataclass(hint) and isinstance(hint, type):
            rows += settings(hint, f"{key}.", f.metadata.get("doc", ""))
        elif typing.get_origin(hint) is tuple and is_dataclass(args[0]) and isinstance(args[0], type):
            rows += settings(args[0], f"{key}[].")
        elif f.name != "settings":
            doc = f.metadata.get("doc", about)
            rows.append({"key": key, "type": _type(hint, f), "default": _default(f), "doc": doc})
    return rows


def in_force(config: Config) -> list[Row]:
    """One row per setting in force: key, value, and the line that says so ("default" when none does)."""
    document = parse(config.text, CONFIG)
    rows: list[Row] = []

    def visit(where: tuple[str | int, ...], value: Any) -> None:
        if is_dataclass(value) and not isinstance(value, type):
            for f in fields(value):
                inner = getattr(value, f.name)
                visit(where if f.name == "settings" else (*where, f.name), inner)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for index, item in enumerate(value):
                visit((*where, index), item)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                visit((*where, key), inner)
        else:
            line = document.lines.get(where, 0)
            origin = f"{CONFIG}:{line or line_of(document.lines, where)}" if line else "default"
            rows.append({"key": ".".join(map(str, where)), "value": value, "from": origin})

    for f in fields(Tables):
        visit((f.name,), getattr(config, f.name))
    return rows


def _type(hint: Any, f: "Field[Any]") -> str:
    """The type in plain words, with its limits."""
    if f.metadata.get("words"):
        return " | ".join(f.metadata["words"])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " | ".join(str(member.value) for member in hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return f"list of {_TYPES.get(args[0], args[0])}s"
    if origin is not None and issubclass(origin, Mapping):
        return f"table of {_TYPES.get(args[1], args[1])}s"
    least, most = f.metadata.get("least"), f.metadata.get("most")
    return _TYPES.get(hint, str(hint)) + (f", {least} to {most}" if least is not None else "")


def _default(f: "Field[Any]") -> str:
    if f.default is not MISSING:
        text = str(f.default).lower() if isinstance(f.default, bool) else repr(f.default)  # 1 == True, 0 == False
        return text.replace("'", '"')
    return "" if f.default_factory is MISSING else "none"
