"""The loader: one constant per file, duplicates and misfits refused with the place named."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest

from ingest.drivers import driver, drivers
from ingest.errors import ProfileError
from ingest.model import Encoding, Example, ModbusDriver, ModbusRelay, Quantity, Register, expected_serial
from ingest.plugins import load


@runtime_checkable
class Thing(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str: ...


HEAD = "from types import SimpleNamespace\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """An importable empty package of its own name."""
    name = f"plug_{request.node.name.replace('[', '_').replace(']', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name, folder


def write(folder: Path, file: str, text: str) -> None:
    (folder / file).write_text(HEAD + text)


def test_finds_every_file_sorted_by_name_and_skips_underscored(package: tuple[str, Path]) -> None:
    name, folder = package
    write(folder, "z.py", "THING = SimpleNamespace(name='a')\n")
    write(folder, "y.py", "THING = SimpleNamespace(name='b')\n")
    write(folder, "_inner.py", "raise AssertionError('not a plug-in')\n")
    assert list(load(name, "THING", Thing)) == ["a", "b"]  # type: ignore[type-abstract]


def test_two_of_one_name_are_an_error_that_names_both(package: tuple[str, Path]) -> None:
    name, folder = package
    write(folder, "one.py", "THING = SimpleNamespace(name='a')\n")
    write(folder, "two.py", "THING = SimpleNamespace(name='a')\n")
    with pytest.raises(ProfileError, match=rf"{name}\.two: the name 'a' is taken by {name}\.one"):
        load(name, "THING", Thing)  # type: ignore[type-abstract]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OTHER = 1\n", "no constant THING"),
        ("THING = 3\n", "THING is a int, wanted Thing"),
        ("THING = SimpleNamespace(name='')\n", "THING has no name"),
    ],
)
def test_misfits_are_refused(package: tuple[str, Path], text: str, message: str) -> None:
    name, folder = package
    write(folder, "one.py", text)
    with pytest.raises(ProfileError, match=message):
        load(name, "THING", Thing)  # type: ignore[type-abstract]


def test_third_parties_come_in_by_entry_point_and_cannot_take_a_name(package: tuple[str, Path]) -> None:
    name, folder = package
    write(folder, "one.py", "THING = SimpleNamespace(name='a')\n")
    theirs = EntryPoint("x", "tests.ingest.test_plugins:THEIRS", "group")
    found = load(name, "THING", Thing, extra=(theirs,))  # type: ignore[type-abstract]
    assert list(found) == ["a", "theirs"]
    twice = EntryPoint("y", "tests.ingest.test_plugins:TAKEN", "group")
    with pytest.raises(ProfileError, match="entry point y"):
        load(name, "THING", Thing, extra=(twice,))  # type: ignore[type-abstract]


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


THEIRS, TAKEN = _Named("theirs"), _Named("a")
IMPORT = Register(Quantity.IMPORT, 3, 0, Encoding.UINT32)
EXAMPLE = (Example("0300000002", "030400000001", Quantity.IMPORT, 1, "made here"),)


def test_an_unknown_driver_is_answered_with_the_nearest() -> None:
    with pytest.raises(ProfileError, match="nearest: sdm630"):
        driver("sdm-630")


def test_the_promised_drivers_are_there_and_only_relays_with_read_back_switch() -> None:
    known = drivers()
    assert {"sdm630", "iem3000", "dtsu666", "dds238"} <= set(known)
    modbus = {name for name, d in known.items() if isinstance(d, ModbusDriver) and d.switchable}
    assert modbus == {"dds238", "lx47le"}


def test_a_driver_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ProfileError, match="declared twice"):
        ModbusDriver("x", "X", (IMPORT, IMPORT), EXAMPLE)
    with pytest.raises(ProfileError, match="no import_wh"):
        ModbusDriver("x", "X", (Register(Quantity.POWER, 3, 0, Encoding.INT16),), EXAMPLE)
    keyed = ModbusRelay(16, 0, (1,), (0,), 3, 0, 1, 0, verified=True, key="secret")
    with pytest.raises(ProfileError, match="key function"):
        ModbusDriver("x", "X", (IMPORT,), EXAMPLE, relay=keyed)


def test_master_data_hold_what_the_meter_can_say() -> None:
    assert expected_serial(driver("sdm630"), "123", 7) == "123"
    assert expected_serial(driver("dds238"), "123", 7) == "unit-7"
    assert expected_serial(driver("dtsu666"), "123", 7) == ""
