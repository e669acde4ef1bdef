"""A poll goes in, what its kept bytes decode to comes out: what every driver's reads must survive."""

from ingest.model import Driver
from ingest.rawpoll import KeptVisit, pack, profile_of, registers, unpack
from ingest.records import Channel, MeterPoint, Poll


def kept(point: MeterPoint, poll: Poll, driver: Driver) -> KeptVisit:
    """There and back as the raw store has it."""
    visit = unpack(pack(KeptVisit(point.meter, poll.reads[0].end, driver.name, profile_of(driver), poll.raw)))
    assert visit is not None and visit.pairs == poll.raw
    return visit


def said_again(point: MeterPoint, poll: Poll, driver: Driver) -> bool:
    """Whether the kept bytes, and nothing of them cut short, give the very registers that the poll gave."""
    visit = kept(point, poll, driver)
    reads = {Channel(read.channel): read.register_wh for read in poll.reads}
    for request, answer in visit.pairs:
        for size in range(0, len(answer), 1 + len(answer) // 20):
            cut = KeptVisit(visit.meter, visit.slot_end, visit.model, visit.profile, ((request, answer[:size]),))
            assert registers(cut, driver).items() <= reads.items()
    return registers(visit, driver) == reads
