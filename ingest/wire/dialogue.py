"""One client association with one logical device: requests become APDUs, incoming APDUs become answers (sans-I/O).

Rules, which ``TRANSITIONS`` states as data:
- IDLE: nothing is associated. OPEN sends the AARQ; only an AARE leads to READY, or back when it rejects.
- PROVING: with HLS the AARE only brings a challenge; our answer to it is out, the meter's own proof leads to READY.
- READY: one request at a time. ASK numbers it with an invoke-id and waits (ASKING).
- SENDING: a SET or ACTION that is longer than the meter takes leaves in blocks, each when the one before was taken.
- ASKING: an answer counts only with the same invoke-id and of the kind that was asked for; everything else is put
  aside. A block leads to COLLECTING, where blocks must follow each other without a hole.
- CLOSING: RLRQ was sent; the RLRE ends it.
- GIVE_UP (time-out, undecodable answer) leads to IDLE from anywhere: the association is in doubt. The invoke-id of the
  request given up is not used again on this connection, so that its late answer can never be taken for another's.
- A general block transfer, and the blocks of an ACTION's answer, are put together before any of this
  (``longanswers``): what they hold is one APDU like another.
- Notifications may come at any time and answer nothing.
"""

from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

from ingest.errors import WireRefusal
from ingest.wire import acse, apdu, listed, longrequests
from ingest.wire.axdr import Data
from ingest.wire.axdr import decode as decode_data
from ingest.wire.axdr import encode as encode_data
from ingest.wire.cosem import Access, Name
from ingest.wire.longanswers import MOST as MAX_ANSWER
from ingest.wire.longanswers import PBlocks, Transfer
from ingest.wire.security import REPLY_TO_HLS, Security

_IDS: Final = 16
SEALING: Final = 40
"""Bytes that ciphering adds to an APDU at most: tags, lengths, system title, header, authentication tag."""
_GENERAL_BLOCK: Final = bytes([apdu.GENERAL_BLOCK])
_PLAIN: Final = bytes([apdu.GET_ANSWER, apdu.NORMAL])


class State(Enum):
    """Where the association is."""

    __hash__ = object.__hash__  # members are single: cheaper than by name
    IDLE = auto()
    OPENING = auto()
    PROVING = auto()
    READY = auto()
    ASKING = auto()
    COLLECTING = auto()
    SENDING = auto()
    CLOSING = auto()


class Event(Enum):
    """What moves it."""

    __hash__ = object.__hash__
    OPEN = auto()
    CHALLENGED = auto()
    ACCEPTED = auto()
    REJECTED = auto()
    ASK = auto()
    SEND = auto()
    BLOCK = auto()
    ANSWERED = auto()
    CLOSE = auto()
    CLOSED = auto()
    GIVE_UP = auto()


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.IDLE: {Event.OPEN: State.OPENING, Event.GIVE_UP: State.IDLE},
    State.OPENING: {
        Event.ACCEPTED: State.READY,
        Event.CHALLENGED: State.PROVING,
        Event.REJECTED: State.IDLE,
        Event.GIVE_UP: State.IDLE,
    },
    State.PROVING: {Event.ACCEPTED: State.READY, Event.REJECTED: State.IDLE, Event.GIVE_UP: State.IDLE},
    State.READY: {
        Event.ASK: State.ASKING,
        Event.SEND: State.SENDING,
        Event.CLOSE: State.CLOSING,
        Event.GIVE_UP: State.IDLE,
    },
    State.ASKING: {Event.ANSWERED: State.READY, Event.BLOCK: State.COLLECTING, Event.GIVE_UP: State.IDLE},
    State.COLLECTING: {Event.ANSWERED: State.READY, Event.BLOCK: State.COLLECTING, Event.GIVE_UP: State.IDLE},
    State.SENDING: {Event.ANSWERED: State.READY, Event.BLOCK: State.SENDING, Event.GIVE_UP: State.IDLE},
    State.CLOSING: {Event.CLOSED: State.IDLE, Event.GIVE_UP: State.IDLE},
}


class IllegalStep(RuntimeError):
    """Our own mistake: the caller did what the state does not allow."""


class Raw(NamedTuple):
    """The undecoded value of an attribute that was asked for with ``raw``: a load profile is faster as an array."""

    encoded: bytes


Request: TypeAlias = apdu.GetRequest | apdu.GetList | apdu.SetRequest | apdu.ActionRequest | listed.SetList
Answer: TypeAlias = (
    apdu.Response | listed.SetListResponse | apdu.ExceptionResponse | apdu.ServiceError | acse.Acse | Raw
)
_ANSWERS: Final[dict[type, tuple[type, ...]]] = {
    apdu.GetRequest: (apdu.GetResponse, apdu.GetBlock),
    apdu.GetList: (apdu.GetListResponse, apdu.GetBlock),
    apdu.SetRequest: (apdu.SetResponse,),
    apdu.ActionRequest: (apdu.ActionResponse,),
}


class Step(NamedTuple):
    """What one incoming APDU leads to: bytes to send, the answer, or a word for what was put aside."""

    send: bytes = b""
    answer: Answer | None = None
    aside: str = ""


class Dialogue:
    """The client's side; ``secret`` is None without authentication, else the LLS password; ``security`` is for HLS.

    ``start`` sets the first invoke-id: neighbours that start apart do not take each other's misrouted answers.
    """

    def __init__(self, secret: bytes | None = None, *, start: int = 0) -> None:
        self.state = State.IDLE
        self.agreed = acse.Initiate(conformance=0)
        self.secret = secret
        self.security: Security | None = None
        self._last_id = start % _IDS
        self._burnt: set[int] = set()
        self._asked: Request | None = None
        self._transfer, self._p_blocks = Transfer(), PBlocks()
        self._want_raw = False
        self._blocks: list[bytes] = []
        self._unsent: list[longrequests.Block] = []

    @property
    def exhausted(self) -> bool:
        """Whether every invoke-id waits for a late answer: only a new connection is safe now."""
        return len(self._burnt) >= _IDS - 1

    def offers(self, service: acse.Conformance) -> bool:
        """Whether the device agreed to ``service``."""
        return bool(self.agreed.conformance & service)

    def open(self) -> bytes:
        """The AARQ."""
        self._move(Event.OPEN)
        if self.security is not None:
            return acse.encode(self.security.request())
        information = acse.encode_initiate(acse.Initiate(acse.PROPOSED), answer=False)
        mechanism = acse.Mechanism.NONE if self.secret is None else acse.Mechanism.LLS
        return acse.encode(acse.AssociationRequest(information, acse.LN, mechanism, self.secret))

    def get(self, name: Name, access: Access | None = None, *, raw: bool = False) -> bytes:
        """A GET of one attribute; with ``raw`` the answer is ``Raw`` when it holds data."""
        return self._ask(apdu.GetRequest(self._next_id(), name, access), raw=raw)

    def get_list(self, names: tuple[Name, ...]) -> bytes:
        """A GET with list."""
        return self._ask(apdu.GetList(self._next_id(), tuple((name, None) for name in names)))

    def set(self, name: Name, value: Data) -> bytes:
        """A SET of one attribute, in blocks where the meter does not take it whole and offers that."""
        request = apdu.SetRequest(self._next_id(), name, value)
        return self._send(request, name, value, acse.Conformance.BLOCK_SET)

    def set_list(self, pairs: tuple[tuple[Name, Data], ...]) -> bytes:
        """A SET of several attributes at once; only where the meter offers multiple references."""
        return self._ask(listed.SetList(self._next_id(), pairs))

    def action(self, method: Name, data: Data | None = None) -> bytes:
        """An ACTION, in blocks like a SET."""
        request = apdu.ActionRequest(self._next_id(), method, data)
        return self._send(request, method, data, acse.Conformance.BLOCK_ACTION)

    def close(self) -> bytes:
        """The RLRQ."""
        self._move(Event.CLOSE)
        return acse.encode(acse.Release(answer=False))

    def give_up(self) -> None:
        """No answer will be waited for any more."""
        if self._asked is not None:
            self._burnt.add(self._asked.invoke & 0x0F)
        self._asked, self._unsent = None, []
        self._transfer, self._p_blocks = Transfer(), PBlocks()
        self._move(Event.GIVE_UP)

    def receive(self, payload: bytes) -> Step:
        """Take one APDU; raises WireRefusal for bytes that are none (then ``give_up``)."""
        if payload[:1] == _GENERAL_BLOCK:
            part = self._transfer.take(payload)
            if part.whole[:1] == _GENERAL_BLOCK:
                raise WireRefusal("bad_block", "a transfer inside a transfer")
            return self.receive(part.whole) if part.whole else Step(part.send, aside=part.aside)
        if self.security is not None:
            payload = self.security.reveal(payload)
        if type(self._asked) is apdu.GetRequest and self._is_plain_data(payload):
            value: Answer = Raw(payload[4:])
            if not self._want_raw:
                value = apdu.GetResponse(payload[2], decode_data(payload[4:]))
            self._finish()
            return Step(answer=value)
        if self.state is State.SENDING and (taken := longrequests.decode_taken(payload)) is not None:
            return self._taken(taken)
        if isinstance(self._asked, apdu.ActionRequest) and (long := self._p_blocks.take(payload, self._asked.invoke)):
            if not long.whole:
                return Step(self._sealed(long.send) if long.send else b"", aside=long.aside)
            payload = long.whole
        if isinstance(self._asked, listed.SetList) and (many := listed.decode_answer(payload)) is not None:
            return self._set_many(self._asked, many)
        record = apdu.decode(payload)
        if isinstance(record, apdu.Notification | apdu.EventNotification):
            return Step(aside="notification")
        if isinstance(record, apdu.ExceptionResponse | apdu.ServiceError):
            return self._exception(record)
        if isinstance(record, acse.AssociationResponse) and self.state is State.OPENING:
            return self._opened(record)
        if self.state is State.PROVING and isinstance(record, apdu.ActionResponse):
            return self._proven(record)
        if isinstance(record, acse.Release) and record.answer and self.state is State.CLOSING:
            self._move(Event.CLOSED)
            return Step(answer=record)
        if self._asked is not None and isinstance(record, apdu.Response):
            return self._answered(self._asked, record)
        return Step(aside="unexpected")

    def _is_plain_data(self, payload: bytes) -> bool:
        asked = self._asked
        same = asked is not None and len(payload) > 4 and not (payload[2] ^ asked.invoke) & 0x0F
        return same and payload[:2] == _PLAIN and not payload[3] and self.state is State.ASKING

    def _opened(self, record: acse.AssociationResponse) -> Step:
        if self.security is not None and record.result == 0 and record.secret is not None:
            self.agreed = self.security.initiated(record)
            self._move(Event.CHALLENGED)
            proof = apdu.ActionRequest(self._next_id(), REPLY_TO_HLS, self.security.proof(record.secret))
            return Step(send=self._protected(proof))
        if record.result != 0 or record.diagnostic != 0:
            self._move(Event.REJECTED)
            return Step(answer=record)
        self.agreed = acse.decode_initiate(record.user_information)
        self._move(Event.ACCEPTED)
        return Step(answer=record)

    def _proven(self, record: apdu.ActionResponse) -> Step:
        """The meter's answer to our challenge: without a good one nobody is let in, on either side."""
        good = self.security is not None and record.result == 0 and self.security.proven(record.data)
        self._move(Event.ACCEPTED if good else Event.REJECTED)
        answer = acse.AssociationResponse(b"") if good else acse.AssociationResponse(b"", result=1, diagnostic=13)
        return Step(answer=answer)

    def _protected(self, record: apdu.Apdu) -> bytes:
        return self._sealed(apdu.encode(record))

    def _sealed(self, raw: bytes) -> bytes:
        return raw if self.security is None else self.security.protect(raw)

    def _set_many(self, asked: listed.SetList, answer: listed.SetListResponse) -> Step:
        if (answer.invoke ^ asked.invoke) & 0x0F:
            self._burnt.discard(answer.invoke & 0x0F)
            return Step(aside="stale")
        if len(answer.results) != len(asked.pairs):
            raise WireRefusal("wrong_answer", f"{len(answer.results)} results for {len(asked.pairs)} attributes")
        self._finish()
        return Step(answer=answer)

    def _exception(self, record: apdu.ExceptionResponse | apdu.ServiceError) -> Step:
        """An exception carries no invoke-id: with answers still under way it may belong to one of those."""
        if self._burnt or self.state not in (
            State.OPENING,
            State.PROVING,
            State.ASKING,
            State.COLLECTING,
            State.SENDING,
        ):
            return Step(aside="exception")
        self._asked = None
        self._move(Event.GIVE_UP)
        return Step(answer=record)

    def _answered(self, asked: Request, record: apdu.Response) -> Step:
        number = record.invoke & 0x0F
        if number != asked.invoke & 0x0F:
            self._burnt.discard(number)
            return Step(aside="stale")
        if not isinstance(record, _ANSWERS.get(type(asked), ())):
            raise WireRefusal("wrong_answer", f"{type(record).__name__} to {type(asked).__name__}")
        if isinstance(record, apdu.GetBlock):
            return self._block(asked, record)
        if self.state is State.COLLECTING:
            return Step(aside="stale")
        if self._unsent and isinstance(record, apdu.SetResponse | apdu.ActionResponse) and record.result == 0:
            raise WireRefusal("wrong_answer", f"done, with {len(self._unsent)} blocks not sent")
        self._finish()
        return Step(answer=record)

    def _taken(self, taken: longrequests.Taken) -> Step:
        """The next block, or the end of a SET; what belongs to another block or request answers nothing."""
        asked, sent = self._asked, len(self._blocks)
        if asked is None or (taken.invoke ^ asked.invoke) & 0x0F:
            self._burnt.discard(taken.invoke & 0x0F)
            return Step(aside="stale")
        if taken.tag != (apdu.SET_ANSWER if isinstance(asked, apdu.SetRequest) else apdu.ACTION_ANSWER):
            raise WireRefusal("wrong_answer", f"tag {taken.tag:02x} to {type(asked).__name__}")
        if taken.result is not None:
            return self._answered(asked, apdu.SetResponse(taken.invoke, taken.result))
        if taken.number < sent:
            return Step(aside="stale")
        if taken.number > sent or not self._unsent:
            raise WireRefusal("block_lost", f"block {taken.number} is said to be taken, {sent} were sent")
        self._move(Event.BLOCK)
        return Step(send=self._next_block())

    def _block(self, asked: Request, block: apdu.GetBlock) -> Step:
        if block.number <= len(self._blocks):
            return Step(aside="stale")
        if block.number > len(self._blocks) + 1:
            raise WireRefusal("block_lost", f"block {block.number} after {len(self._blocks)}")
        if isinstance(block.raw, apdu.Denied):
            self._finish()
            return Step(answer=apdu.GetResponse(block.invoke, block.raw))
        self._blocks.append(block.raw)
        if sum(map(len, self._blocks)) > MAX_ANSWER:
            raise WireRefusal("answer_too_long", f"more than {MAX_ANSWER} bytes")
        if not block.last:
            self._move(Event.BLOCK)
            return Step(send=self._protected(apdu.GetNext(asked.invoke, block.number)))
        whole, raw = b"".join(self._blocks), self._want_raw
        answer: Answer
        if isinstance(asked, apdu.GetList):
            answer = apdu.GetListResponse(asked.invoke, apdu.decode_list(whole))
        else:
            answer = Raw(whole) if raw else apdu.GetResponse(asked.invoke, decode_data(whole))
        self._finish()
        return Step(answer=answer)

    def _ask(self, request: Request, *, raw: bool = False) -> bytes:
        self._move(Event.ASK)
        self._asked, self._want_raw, self._blocks = request, raw, []
        self._last_id = request.invoke & 0x0F
        return self._sealed(listed.encode(request) if isinstance(request, listed.SetList) else apdu.encode(request))

    def _send(
        self,
        request: apdu.SetRequest | apdu.ActionRequest,
        name: Name,
        value: Data | None,
        service: acse.Conformance,
    ) -> bytes:
        """The request whole, or its first block."""
        limit = self.agreed.max_apdu - (0 if self.security is None else SEALING)
        if value is None or not self.agreed.max_apdu or not self.offers(service):
            return self._ask(request)
        if len(apdu.encode(request)) <= limit:
            return self._ask(request)
        tag = apdu.SET if isinstance(request, apdu.SetRequest) else apdu.ACTION
        try:
            blocks = longrequests.split(tag, request.invoke, name, encode_data(value), limit)
        except ValueError as error:
            raise WireRefusal("request_too_long", str(error)) from error
        self._move(Event.SEND)
        self._asked, self._want_raw, self._blocks, self._unsent = request, False, [], blocks
        self._last_id = request.invoke & 0x0F
        return self._next_block()

    def _next_block(self) -> bytes:
        raw = longrequests.encode(self._unsent.pop(0))
        self._blocks.append(raw)
        return self._sealed(raw)

    def _finish(self) -> None:
        self._unsent = []
        self._asked = None
        self._move(Event.ANSWERED)

    def _next_id(self) -> int:
        """The invoke byte of the next request, never one whose answer may still come."""
        for ahead in range(1, _IDS + 1):
            number = (self._last_id + ahead) % _IDS
            if number not in self._burnt:
                return apdu.CONFIRMED | apdu.HIGH_PRIORITY | number
        raise IllegalStep("every invoke-id waits for a late answer: open a new connection")

    def _move(self, event: Event) -> None:
        state = TRANSITIONS[self.state].get(event)
        if state is None:
            raise IllegalStep(f"{event.name} in {self.state.name}")
        self.state = state
