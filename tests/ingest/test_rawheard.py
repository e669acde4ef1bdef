"""What terminals and pushing meters said is kept with each poll, and gives the same registers again."""

from dataclasses import replace

from ingest.drivers import drivers
from ingest.rawpoll import registers
from ingest.records import Channel
from ingest.terminalmodel import PushDriver, TerminalDriver
from tests.contracts.again import kept
from tests.ingest.push_rig import START as PUSH_START
from tests.ingest.push_rig import PushRig
from tests.ingest.terminal_rig import START, TerminalRig

KNOWN = drivers()


def test_a_terminals_registers_come_again_from_its_frames() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        poll = await rig.link.poll(rig.point(), START)
        driver = KNOWN["qgdw376_terminal"]
        assert isinstance(driver, TerminalDriver)
        visit = kept(rig.point(), poll, driver)
        assert registers(visit, driver) == {Channel(read.channel): read.register_wh for read in poll.reads}
        assert registers(visit, replace(driver, import_fn=131)) == {Channel.IMPORT: 0, Channel.EXPORT: 0}
        assert registers(visit, replace(driver, import_fn=33)) == {Channel.EXPORT: 0}
        broken = replace(visit, pairs=tuple((request, answer[:-3]) for request, answer in visit.pairs))
        assert registers(broken, driver) == {}

    rig.run(story)


def test_a_push_gives_its_register_again_by_the_profile_as_it_is() -> None:
    rig = PushRig()

    async def story() -> None:
        await rig.push()
        poll = await rig.link.poll(rig.point(), PUSH_START)
        driver = KNOWN["dlms_push"]
        assert isinstance(driver, PushDriver)
        visit = kept(rig.point(), poll, driver)
        assert registers(visit, driver) == {Channel.IMPORT: poll.reads[0].register_wh}
        assert registers(visit, replace(driver, import_obis=(("1.0.1.8.1.255",),))) == {}
        assert registers(replace(visit, pairs=((b"", b"\x7e\x00"),)), driver) == {}

    rig.run(story)
