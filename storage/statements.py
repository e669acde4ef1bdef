"""A table and the shape of a question in, one SQL text with its parameter order out, compiled once and kept."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from storage.tables import DIALECT, Stored

IN_LIMIT = 16_384
"""Most values of one ``__in`` condition (SQLite takes 32,766 parameters)."""

_NEVER = sa.literal_column("0 = 1", sa.Boolean)  # not sa.false(), which takes the other conditions' values away
Statement = tuple[str, tuple[str, ...]]
_OPERATORS = ("in", "lt", "le", "gt", "ge", "ne", "null")


def compiled(statement: Any) -> Statement:
    """SQL text and the names of its parameters in order."""
    done = statement.compile(dialect=DIALECT)
    return str(done), tuple(done.positiontup or ())


def insert_new(stored: Stored) -> Statement:
    """Insert that does nothing when the key is there."""
    return _kept(stored, "add", lambda: insert(stored.table).on_conflict_do_nothing())


def insert_or_replace(stored: Stored) -> Statement:
    """Insert that overwrites every field beside the key."""

    def build() -> Any:
        base = insert(stored.table)
        rest = {n: base.excluded[n] for n in stored.codec.names if n not in stored.spec.key}
        if not rest:
            return base.on_conflict_do_nothing()
        return base.on_conflict_do_update(index_elements=list(stored.spec.key), set_=rest)

    return _kept(stored, "put", build)


def delete(stored: Stored) -> Statement:
    """Delete by key."""
    return _kept(stored, "delete", lambda: sa.delete(stored.table).where(*_by_key(stored)))


def get(stored: Stored) -> Statement:
    """Select by key."""
    return _kept(stored, "get", lambda: sa.select(*stored.table.c).where(*_by_key(stored)))


def last_seq(stored: Stored) -> Statement:
    """The last number of the key's ``seq`` under the key's other fields."""
    rest = [k for k in stored.spec.key if k != "seq"]

    def build() -> Any:
        return sa.select(sa.func.max(stored.table.c.seq)).where(*[stored.table.c[k] == sa.bindparam(k) for k in rest])

    return _kept(stored, "next", build)


def _by_key(stored: Stored) -> list[Any]:
    return [stored.table.c[k] == sa.bindparam(k) for k in stored.spec.key]


def _kept(stored: Stored, shape: object, build: Any) -> Statement:
    found = stored.statements.get(shape)
    if found is None:
        found = stored.statements[shape] = compiled(build())
    return found


def search(
    stored: Stored,
    conditions: Mapping[str, Any],
    *,
    order: tuple[str, ...] = (),
    limited: bool = False,
    count: bool = False,
) -> tuple[str, list[Any]]:
    """SQL and parameters of a find or count; the key ends every order, so that results never depend on the plan."""
    terms = [_term(stored, name, value) for name, value in conditions.items()]
    shape = (count, limited, order, tuple((f, op, n) for f, op, n, _ in terms))
    found = stored.statements.get(shape)
    if found is None:
        text, names = compiled(_select(stored, shape))
        found = stored.statements[shape] = (text + "\n LIMIT ?" if limited else text, names)
    values = [v for *_, bound in terms for v in bound]
    return found[0], values


def _term(stored: Stored, name: str, value: Any) -> tuple[str, str, int, list[Any]]:
    field, _, operator = name.rpartition("__")
    if not field or operator not in _OPERATORS:
        field, operator = name, "eq"
    if field not in stored.codec.names:
        raise ValueError(f"{stored.spec.name} has no field {field!r}: {', '.join(stored.codec.names)}")
    if operator == "in":
        return (field, operator, *_padded(stored, field, value))
    if operator == "null":
        return field, "null" if value else "set", 0, []
    if value is None:
        return field, {"eq": "null", "ne": "set"}[operator], 0, []
    return field, operator, 1, [stored.codec.value(field, value)]


def _padded(stored: Stored, field: str, value: Any) -> tuple[int, list[Any]]:
    """Values of an ``__in``, padded with its last one to a power of two, so that few shapes are compiled."""
    values = [stored.codec.value(field, v) for v in value]
    if len(values) > IN_LIMIT:
        raise ValueError(f"{stored.spec.name}.{field}__in takes {IN_LIMIT} values at most: ask in slices")
    if not values:
        return 0, []
    size = 1 << (len(values) - 1).bit_length()
    return size, values + [values[-1]] * (size - len(values))


def _select(stored: Stored, shape: tuple[bool, bool, tuple[str, ...], Any]) -> Any:
    count, _, order, terms = shape
    table = stored.table
    statement: Any = sa.select(sa.func.count()).select_from(table) if count else sa.select(*table.c)
    statement = statement.where(*[_clause(table.c[f], op, n, i) for i, (f, op, n) in enumerate(terms)])
    if count:
        return statement
    named = [name.lstrip("-") for name in order]
    keys = [*order, *[k for k in stored.spec.key if k not in named]]
    return statement.order_by(*[table.c[k[1:]].desc() if k.startswith("-") else table.c[k].asc() for k in keys])


def _clause(column: Any, operator: str, size: int, at: int) -> Any:
    if operator == "null":
        return column.is_(None)
    if operator == "set":
        return column.is_not(None)
    if operator == "in":
        return column.in_([sa.bindparam(f"p{at}_{i}") for i in range(size)]) if size else _NEVER
    bound: Any = sa.bindparam(f"p{at}")
    return {
        "eq": column == bound,
        "ne": column != bound,
        "lt": column < bound,
        "le": column <= bound,
        "gt": column > bound,
        "ge": column >= bound,
    }[operator]
