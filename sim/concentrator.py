"""Bytes of a TCP connection go in, the answers of many DLMS meters come out: a concentrator with its faults by name.

Each meter is a logical device behind its wrapper port. Faults stand in ``SimMeter.faults``: ``dead`` (answers nothing),
``wrong_unit`` (answers under the next port), ``half_frame`` (half of each answer), ``exception`` (an exception response
instead of each answer), ``stale_answer`` (repeats its last answer in front of each), ``notify`` (a push in front of
each), ``garbled`` (an answer without its last byte); a swap is another ``SimMeter`` under the same port, a wrong clock
its ``skew_s``. ``counts`` says how often each struck. Sessions are pure: time comes from the clock that was passed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ingest.drivers.dlms_generic import DRIVER
from ingest.ports import Clock
from ingest.records import RelayState
from ingest.wire import apdu
from ingest.wire.axdr import Data, Tag
from ingest.wire.wrapper import Frame, Reader, encode
from sim.logicaldevice import Firmware, LogicalDevice
from sim.meters import SimMeter
from sim.relays import RELAY_OF, STATE_OF, Cause, follow
from sim.secured import SecuredDevice, ServerKeys

SECRET = b"00000001"
"""The LLS secret of simulated meters unless another is given."""


class Concentrator:
    """A device for ``sim.ports``: ``meters`` by wrapper port, all with one ``firmware``."""

    def __init__(
        self,
        clock: Clock,
        meters: Mapping[int, SimMeter],
        *,
        firmware: Firmware | None = None,
        keys: Mapping[int, ServerKeys] | None = None,
    ) -> None:
        """Without ``firmware`` the generic driver, LLS with ``SECRET`` and control mode 4 (remote reconnect closes).

        The meters that have ``keys`` want HLS-GMAC instead.
        """
        self.keys = dict(keys or {})
        self.clock = clock
        self.meters = dict(meters)
        self.firmware = firmware if firmware is not None else Firmware(DRIVER, SECRET)
        self.counts: Counter[str] = Counter()

    def session(self) -> "ConcentratorSession":
        """A new connection: nothing is associated on it."""
        return ConcentratorSession(self)

    def press(self, unit: int) -> bool:
        """A person presses the meter's button; whether that closed the relay."""
        meter = self.meters[unit]
        state = STATE_OF.get(meter.relay)
        after = None if state is None else follow(self.firmware.control_mode, state, Cause.MANUAL_RECONNECT)
        if after is not None:
            meter.switch(RELAY_OF[after], self.clock.now(), Cause.MANUAL_RECONNECT.value)
        return meter.relay is RelayState.CLOSED

    def struck(self, meter: SimMeter, fault: str) -> bool:
        """Whether ``meter`` has ``fault``, counted."""
        if fault not in meter.faults:
            return False
        self.counts[fault] += 1
        return True


class ConcentratorSession:
    """One connection: bytes in, one item for each answer frame out."""

    def __init__(self, concentrator: Concentrator) -> None:
        self._concentrator = concentrator
        self._reader = Reader()
        self._devices: dict[tuple[int, int], LogicalDevice] = {}
        self._secured: dict[tuple[int, int], SecuredDevice] = {}
        self._last: dict[int, bytes] = {}

    def feed(self, data: bytes) -> list[bytes]:
        """Answer every whole frame; a broken stream is never answered again."""
        answers: list[bytes] = []
        for frame in self._reader.feed(data):
            answers += self._answer(frame)
        return answers

    def _answer(self, frame: Frame) -> Iterable[bytes]:
        unit, client = frame.destination, frame.source
        meter = self._concentrator.meters.get(unit)
        if meter is None or self._concentrator.struck(meter, "dead"):
            return ()
        device = self._devices.get((unit, client))
        if device is None or device.meter is not meter:
            device = self._devices[unit, client] = LogicalDevice(self._concentrator.firmware, meter)
            server = self._concentrator.keys.get(unit)
            if server is not None:
                device.firmware = replace(device.firmware, secret=None)
                self._secured[unit, client] = SecuredDevice(device, server)
        asked = self._secured.get((unit, client), device)
        return self._spoiled(device, frame, asked.answer(frame.payload, self._concentrator.clock.now()))

    def _spoiled(self, device: LogicalDevice, frame: Frame, payload: bytes) -> Iterable[bytes]:
        """The answer as frames, with what this meter's faults make of it."""
        unit, client, meter = frame.destination, frame.source, device.meter
        struck = self._concentrator.struck
        if struck(meter, "notify"):
            yield encode(unit, client, apdu.encode(apdu.Notification(1, None, Data(Tag.UNSIGNED, 1))))
        if struck(meter, "stale_answer") and unit in self._last:
            yield encode(unit, client, self._last[unit])
        if struck(meter, "exception") and payload[0] not in (0x61, 0x63):
            payload = apdu.encode(apdu.ExceptionResponse(1, 1))
        if struck(meter, "garbled") and len(payload) > 1:
            payload = payload[:-1]
        self._last[unit] = payload
        whole = encode(unit + 1 if struck(meter, "wrong_unit") else unit, client, payload)
        yield whole[: len(whole) // 2] if struck(meter, "half_frame") else whole
