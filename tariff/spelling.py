"""A book's table goes in; its first key that the schema does not have is refused, at its line, with the nearest known.

It runs before anything is read, so that a misspelt key is named as such and not as whatever its absence breaks.
"""

from collections.abc import Mapping
from typing import Any

from tariff.locate import Path
from tariff.schema import book_schema, component_schema
from tariff.section import Section, suggest

COMPONENT = {"$ref": "#/$defs/component"}


def check(root: Section) -> None:
    """Raise BookError for the first misspelt key of the book."""
    _table(root, root.table, (), book_schema())


def _table(root: Section, table: Mapping[str, Any], path: Path, schema: Mapping[str, Any]) -> None:
    known = schema.get("properties", {})
    if schema.get("additionalProperties") is False:
        for key in table:
            if key not in known:
                section = Section(table, path, root.file, root.places)
                section.fail(key, f"{section.name}: unknown key {key!r}", suggest(key, sorted(known)))
    for key, value in table.items():
        if key in known:
            _value(root, value, (*path, key), known[key])


def _value(root: Section, value: Any, path: Path, schema: Mapping[str, Any]) -> None:
    if isinstance(value, list):
        for place, item in enumerate(value):
            if isinstance(item, dict):
                _value(root, item, (*path, place), schema.get("items", {}))
    elif isinstance(value, dict):
        own = _component(value) if schema == COMPONENT else schema
        _table(root, value, path, own)


def _component(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of the component's kind; of any kind where it names none; {} for a kind of a third party."""
    return component_schema(str(table.get("kind", "")))
