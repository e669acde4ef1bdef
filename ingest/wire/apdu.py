"""xDLMS APDUs become records and records become bytes: GET, SET, ACTION, exception, notifications (IEC 62056-5-3, 9).

Both directions of both sides, so that client and simulated meter share one codec; ACSE tags are handed to ``acse``.
``invoke`` is the invoke-id-and-priority byte: bits 0 to 3 number the request, bit 6 confirmed, bit 7 high priority.
Bytes raise only ``WireRefusal``, never anything else; ``decode`` takes an APDU to its last byte.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire import acse
from ingest.wire.axdr import Cursor, Data, length, octets, read
from ingest.wire.axdr import encode as encode_data
from ingest.wire.cosem import Access, Name, When, obis_text, pack_time, unpack_time

GET, SET, ACTION = 0xC0, 0xC1, 0xC3
GET_ANSWER, SET_ANSWER, ACTION_ANSWER = 0xC4, 0xC5, 0xC7
DATA_NOTIFICATION, EVENT_NOTIFICATION, EXCEPTION, SERVICE_ERROR = 0x0F, 0xC2, 0xD8, 0x0E
NORMAL, NEXT, LIST = 1, 2, 3
GENERAL_GLO, GENERAL_DED, GENERAL_BLOCK = 0xDB, 0xDC, 0xE0
CIPHERED: Final = frozenset(
    {GENERAL_GLO, GENERAL_DED, 0xDD, 0xDF, 0x21, 0x28, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF}
    | {0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7}
)
"""Tags of APDUs that only a key opens (IEC 62056-5-3, clause 8.5)."""
CONFIRMED: Final = 0x40
HIGH_PRIORITY: Final = 0x80
MAX_LIST: Final = 64
"""Attributes in one GET with list."""


class Result(IntEnum):
    """Data-access-result and action-result, which agree in what they share."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_VIOLATED = 13
    BLOCK_UNAVAILABLE = 14
    LONG_GET_ABORTED = 15
    NO_LONG_GET = 16
    OTHER_REASON = 250


class Denied(NamedTuple):
    """A result that carries no data: ``code`` as in ``Result``, or a number that the standard does not know."""

    code: int

    @property
    def reason(self) -> str:
        """A stable word for findings."""
        return Result(self.code).name.lower() if self.code in Result.__members__.values() else f"result_{self.code}"


class GetRequest(NamedTuple):
    """Read one attribute, or with ``access`` a part of it."""

    invoke: int
    name: Name
    access: Access | None = None


class GetNext(NamedTuple):
    """Ask for the block after ``block``."""

    invoke: int
    block: int


class GetList(NamedTuple):
    """Read several attributes at once."""

    invoke: int
    names: tuple[tuple[Name, Access | None], ...]


class SetRequest(NamedTuple):
    """Write one attribute."""

    invoke: int
    name: Name
    value: Data
    access: Access | None = None


class ActionRequest(NamedTuple):
    """Call one method."""

    invoke: int
    method: Name
    data: Data | None = None


class GetResponse(NamedTuple):
    """The value of one attribute, or why not."""

    invoke: int
    result: Data | Denied


class GetBlock(NamedTuple):
    """One block of a long answer; ``raw`` blocks in a row hold the answer's encoding."""

    invoke: int
    last: bool
    number: int
    raw: bytes | Denied


class GetListResponse(NamedTuple):
    """The values of a list, in its order."""

    invoke: int
    results: tuple[Data | Denied, ...]


class SetResponse(NamedTuple):
    """What became of a SET."""

    invoke: int
    result: int


class ActionResponse(NamedTuple):
    """What became of an ACTION, with the data that the method returned."""

    invoke: int
    result: int
    data: Data | Denied | None = None


class ExceptionResponse(NamedTuple):
    """The server could not even take the request: ``state`` 1 service not allowed, 2 unknown; ``service`` 1 to 6."""

    state: int
    service: int
    counter: int | None = None  # invocation counter, with service 6 (invocation counter error)


class ServiceError(NamedTuple):
    """ConfirmedServiceError: which service (1 initiate), which group of errors, which error."""

    service: int
    group: int
    error: int


class Notification(NamedTuple):
    """A push (DataNotification): not an answer to anything; ``at`` None when the meter gave no time."""

    invoke: int  # long-invoke-id-and-priority, 32 bits
    at: When | None
    data: Data


class EventNotification(NamedTuple):
    """An attribute that the meter reports by itself."""

    at: When | None
    name: Name
    data: Data


Request = GetRequest | GetNext | GetList | SetRequest | ActionRequest
Response = GetResponse | GetBlock | GetListResponse | SetResponse | ActionResponse
Apdu = Request | Response | ExceptionResponse | ServiceError | Notification | EventNotification | acse.Acse


def decode(raw: bytes) -> Apdu:
    """One APDU as a record.

    >>> decode(bytes.fromhex("c001c1000100002b0100ff0200"))
    GetRequest(invoke=193, name=Name(class_id=1, obis='0.0.43.1.0.255', number=2), access=None)
    """
    if raw[:1] and acse.AARQ <= raw[0] <= acse.RLRE:
        return acse.decode(raw)
    cursor = Cursor(raw)
    tag = cursor.byte()
    choice = cursor.byte() if tag in _WITH_CHOICE else 0
    parse = _PARSERS.get((tag, choice))
    if parse is None:
        raise WireRefusal("unknown_apdu", f"tag {tag:02x} choice {choice}")
    record = parse(cursor)
    cursor.end()
    return record


def _name(cursor: Cursor) -> Name:
    return Name(cursor.uint(2), obis_text(cursor.take(6)), cursor.byte())


def _access(cursor: Cursor) -> Access | None:
    return Access(cursor.byte(), read(cursor)) if _flag(cursor) else None


def _flag(cursor: Cursor) -> bool:
    value = cursor.byte()
    if value not in (0, 1, 0xFF):
        raise WireRefusal("bad_flag", f"{value:02x} at {cursor.at - 1}")
    return value != 0


def _result(cursor: Cursor) -> Data | Denied:
    return Denied(cursor.byte()) if _flag(cursor) else read(cursor)


def _count(cursor: Cursor) -> int:
    count = cursor.length()
    if not 0 < count <= MAX_LIST:
        raise WireRefusal("bad_list", f"{count} items, limit {MAX_LIST}")
    return count


def _get(cursor: Cursor) -> Apdu:
    return GetRequest(cursor.byte(), _name(cursor), _access(cursor))


def _get_next(cursor: Cursor) -> Apdu:
    return GetNext(cursor.byte(), cursor.uint(4))


def _get_list(cursor: Cursor) -> Apdu:
    return GetList(cursor.byte(), tuple((_name(cursor), _access(cursor)) for _ in range(_count(cursor))))


def _set(cursor: Cursor) -> Apdu:
    invoke, name, access = cursor.byte(), _name(cursor), _access(cursor)
    return SetRequest(invoke, name, read(cursor), access)


def _action(cursor: Cursor) -> Apdu:
    return ActionRequest(cursor.byte(), _name(cursor), read(cursor) if _flag(cursor) else None)


def _get_answer(cursor: Cursor) -> Apdu:
    return GetResponse(cursor.byte(), _result(cursor))


def _get_block(cursor: Cursor) -> Apdu:
    invoke, last, number = cursor.byte(), _flag(cursor), cursor.uint(4)
    return GetBlock(invoke, last, number, Denied(cursor.byte()) if _flag(cursor) else cursor.octets())


def _list_answer(cursor: Cursor) -> Apdu:
    invoke = cursor.byte()
    return GetListResponse(invoke, _results(cursor))


def _results(cursor: Cursor) -> tuple[Data | Denied, ...]:
    return tuple(_result(cursor) for _ in range(_count(cursor)))


def _set_answer(cursor: Cursor) -> Apdu:
    return SetResponse(cursor.byte(), cursor.byte())


def _action_answer(cursor: Cursor) -> Apdu:
    return ActionResponse(cursor.byte(), cursor.byte(), _result(cursor) if _flag(cursor) else None)


def _exception(cursor: Cursor) -> Apdu:
    state, service = cursor.byte(), cursor.byte()
    return ExceptionResponse(state, service, cursor.uint(4) if cursor.left else None)


def _service_error(cursor: Cursor) -> Apdu:
    return ServiceError(cursor.byte(), cursor.byte(), cursor.byte())


def _time(cursor: Cursor) -> When | None:
    """An optional date-time; some meters write the tag of an octet-string before its length."""
    raw = cursor.octets()
    if len(raw) == 9 and raw[:1] == b"\x0c":  # 09 0c ...: what we took for a length was the tag
        cursor.at -= len(raw)
        raw = cursor.octets()
    return unpack_time(raw) if raw else None


def _notification(cursor: Cursor) -> Apdu:
    return Notification(cursor.uint(4), _time(cursor), read(cursor))


def _event(cursor: Cursor) -> Apdu:
    return EventNotification(_time(cursor) if _flag(cursor) else None, _name(cursor), read(cursor))


_WITH_CHOICE: Final = (GET, SET, ACTION, GET_ANSWER, SET_ANSWER, ACTION_ANSWER)
_PARSERS: Final[dict[tuple[int, int], Callable[[Cursor], Apdu]]] = {
    (GET, NORMAL): _get,
    (GET, NEXT): _get_next,
    (GET, LIST): _get_list,
    (SET, NORMAL): _set,
    (ACTION, NORMAL): _action,
    (GET_ANSWER, NORMAL): _get_answer,
    (GET_ANSWER, NEXT): _get_block,
    (GET_ANSWER, LIST): _list_answer,
    (SET_ANSWER, NORMAL): _set_answer,
    (ACTION_ANSWER, NORMAL): _action_answer,
    (EXCEPTION, 0): _exception,
    (SERVICE_ERROR, 0): _service_error,
    (DATA_NOTIFICATION, 0): _notification,
    (EVENT_NOTIFICATION, 0): _event,
}


def encode(record: Apdu) -> bytes:
    """The bytes of one APDU.

    >>> encode(GetRequest(0xC1, Name(1, "0.0.43.1.0.255", 2))).hex()
    'c001c1000100002b0100ff0200'
    """
    match record:
        case GetRequest(invoke, name, access):
            return bytes([GET, NORMAL, invoke]) + name.pack() + _access_bytes(access)
        case GetNext(invoke, block):
            return bytes([GET, NEXT, invoke]) + block.to_bytes(4, "big")
        case GetList(invoke, names):
            rows = b"".join(name.pack() + _access_bytes(access) for name, access in names)
            return bytes([GET, LIST, invoke]) + length(len(names)) + rows
        case SetRequest(invoke, name, value, access):
            return bytes([SET, NORMAL, invoke]) + name.pack() + _access_bytes(access) + encode_data(value)
        case ActionRequest(invoke, method, data):
            return bytes([ACTION, NORMAL, invoke]) + method.pack() + _optional(data)
        case acse.AssociationRequest() | acse.AssociationResponse() | acse.Release():
            return acse.encode(record)
    return _encode_answer(record)


def _encode_answer(
    record: Response | ExceptionResponse | ServiceError | Notification | EventNotification,
) -> bytes:
    match record:
        case GetResponse(invoke, result):
            return bytes([GET_ANSWER, NORMAL, invoke]) + result_bytes(result)
        case GetBlock(invoke, last, number, raw):
            body = bytes([1, raw.code]) if isinstance(raw, Denied) else b"\x00" + octets(raw)
            return bytes([GET_ANSWER, NEXT, invoke, last]) + number.to_bytes(4, "big") + body
        case GetListResponse(invoke, results):
            return bytes([GET_ANSWER, LIST, invoke]) + list_bytes(results)
        case SetResponse(invoke, result):
            return bytes([SET_ANSWER, NORMAL, invoke, result])
        case ActionResponse(invoke, result, data):
            tail = b"\x00" if data is None else b"\x01" + result_bytes(data)
            return bytes([ACTION_ANSWER, NORMAL, invoke, result]) + tail
        case ExceptionResponse(state, service, counter):
            return bytes([EXCEPTION, state, service]) + (b"" if counter is None else counter.to_bytes(4, "big"))
        case ServiceError():
            return bytes([SERVICE_ERROR, *record])
        case Notification(long_invoke, at, data):
            return bytes([DATA_NOTIFICATION]) + long_invoke.to_bytes(4, "big") + _time_bytes(at) + encode_data(data)
        case EventNotification(at, name, data):
            when = b"\x00" if at is None else b"\x01" + _time_bytes(at)
            return bytes([EVENT_NOTIFICATION]) + when + name.pack() + encode_data(data)


def result_bytes(result: Data | Denied) -> bytes:
    """A Get-Data-Result: 00 and the data, or 01 and the code."""
    return bytes([1, result.code]) if isinstance(result, Denied) else b"\x00" + encode_data(result)


def list_bytes(results: tuple[Data | Denied, ...]) -> bytes:
    """The results of a GET with list behind their number: what its blocks add up to."""
    return length(len(results)) + b"".join(result_bytes(result) for result in results)


def decode_list(raw: bytes) -> tuple[Data | Denied, ...]:
    """The results that the joined blocks of a GET with list hold."""
    cursor = Cursor(raw)
    results = _results(cursor)
    cursor.end()
    return results


def _access_bytes(access: Access | None) -> bytes:
    return b"\x00" if access is None else bytes([1, access.selector]) + encode_data(access.parameters)


def _optional(data: Data | None) -> bytes:
    return b"\x00" if data is None else b"\x01" + encode_data(data)


def _time_bytes(at: When | None) -> bytes:
    return b"\x00" if at is None else octets(pack_time(at))
