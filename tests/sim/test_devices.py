"""Every protocol that a gateway can speak has its simulated devices."""

import importlib

from prewatt.config import PROTOCOLS
from sim import DEVICES


def test_every_protocol_has_its_devices() -> None:
    assert set(PROTOCOLS) <= set(DEVICES)
    for module in DEVICES.values():
        assert (importlib.import_module(module).__doc__ or "").count("\n") >= 1
