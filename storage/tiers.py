"""Accounts of a group go in, the Wh that each has left in its tier come out."""

import numpy as np

from storage.positions import Group
from storage.usage import Int
from tariff.streams import FAR


def left(group: Group, rows: Int, done: Int) -> dict[int, int | None]:
    """By row, the Wh to the next limit of the ladder that charge rows name; None in the last tier, or without a ladder.

    ``done`` is the number of slots that each row has taken. A position on a limit has 0 Wh left and is still below it.
    """
    found: dict[int, int | None] = {}
    for slots in np.unique(done).tolist():
        same = rows[done == slots]
        found.update(zip(same.tolist(), _left(group, same, slots), strict=True))
    return found


def _left(group: Group, rows: Int, done: int) -> list[int | None]:
    """The same for rows that all stand after ``done`` slots."""
    index = group.plan.primary
    stream = group.plan.streams[index] if index >= 0 else None
    own = 0
    if stream is not None and stream.ladder is not None:
        own = done if stream.columns is None else int(np.searchsorted(stream.columns, done))
    if stream is None or group.state is None or not own:
        return [None] * rows.size
    limits = stream.tops[stream.cell[own - 1]] if stream.tops.shape[1] else stream.limits[:, own - 1]
    known = np.array(sorted(int(limit) for limit in limits if int(limit) < FAR), np.int64)
    if not known.size:
        return [None] * rows.size
    position = group.state.position[rows, index].astype(np.int64)
    place = np.searchsorted(known, position, side="left")
    return [
        int(known[at]) - at_wh if at < known.size else None
        for at, at_wh in zip(place.tolist(), position.tolist(), strict=True)
    ]
