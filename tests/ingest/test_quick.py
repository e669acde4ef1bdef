"""What the fast constructor makes cannot be told from what the class makes."""

import dataclasses
import pickle
from datetime import datetime
from typing import Any

import pytest

from ingest.model import ModbusDriver
from ingest.poller import CycleReport
from ingest.quick import maker
from ingest.records import Channel, MeterRead, Poll, RelayReport, RelayState

AT = datetime(2026, 7, 1)


@pytest.mark.parametrize(
    ("record", "values", "named"),
    [
        (MeterRead, (1, Channel.IMPORT, AT, 5), {}),
        (MeterRead, (1, Channel.EXPORT, AT, 5), {"offset_s": -3}),
        (RelayReport, ("M1", AT, RelayState.OPEN), {"power_w": 7}),
        (Poll, ("M1", AT), {"serial": "7", "raw": ((b"q", b"a"),)}),
    ],
)
def test_it_makes_the_same_record(record: Any, values: tuple[object, ...], named: dict[str, object]) -> None:
    made, plain = maker(record)(*values, **named), record(*values, **named)
    assert type(made) is record and made == plain and repr(made) == repr(plain) and hash(made) == hash(plain)
    assert pickle.loads(pickle.dumps(made)) == plain
    assert dataclasses.replace(made, **named) == plain
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(record)[0].name, 1)
    with pytest.raises(TypeError, match="argument"):
        maker(record)()


@pytest.mark.parametrize("record", [ModbusDriver, CycleReport])
def test_a_record_that_checks_or_computes_when_it_is_made_is_refused(record: type) -> None:
    with pytest.raises(TypeError, match="call it as it is"):
        maker(record)
