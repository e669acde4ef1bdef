"""APDUs of one client go in, the answers of a meter with HLS-GMAC come out: the server side of security suite 0.

It stands around a plain ``LogicalDevice``: the association is proven by challenges, every APDU is deciphered on its way
in and its answer ciphered in the same way; a counter that does not rise is a replay and answered by an exception.
Written on ``ingest.wire.ciphering`` alone, not on the client's ``security``, so that the two check each other.
"""

from dataclasses import dataclass, field
from datetime import datetime

from ingest.errors import WireRefusal
from ingest.wire import acse, apdu, ciphering
from ingest.wire.axdr import Data, Tag
from ingest.wire.ciphering import Keys, Sealed
from ingest.wire.cosem import ClassId, Name
from sim.logicaldevice import LogicalDevice

PROOF = Name(ClassId.ASSOCIATION_LN, "0.0.40.0.0.255", 1)
NOT_ALLOWED = apdu.encode(apdu.ExceptionResponse(1, 1))


@dataclass(slots=True)
class ServerKeys:
    """A meter's keys, its system title and what it remembers of counters over all associations."""

    keys: Keys
    title: bytes = b"PWTSIM\x00\x01"
    counter: int = 0
    seen: dict[bytes, int] = field(default_factory=dict)

    def following(self) -> int:
        """The meter's next invocation counter."""
        self.counter += 1
        return self.counter


@dataclass(slots=True)
class SecuredDevice:
    """One association with one meter that wants HLS mechanism 5; ``answer`` never raises."""

    device: LogicalDevice
    server: ServerKeys
    challenge: bytes = b"meterchallenge.."
    _client: bytes = b""
    _asked: bytes = b""
    _dedicated: bytes = b""
    _ciphered: bool = False
    _proven: bool = False
    _before: int = -1  # the client's counter before the APDU that is being answered

    def answer(self, raw: bytes, now: datetime) -> bytes:
        """The APDU that answers ``raw``."""
        self._before = self.server.seen.get(self._client, -1)
        try:
            if raw[:1] == b"\x60":
                return self._associate(raw, now)
            if raw[:1] == b"\x62":
                self._proven = False
                return self.device.answer(raw, now)
            if raw[:1] and raw[0] in apdu.CIPHERED:
                sealed = ciphering.parse(raw)
                return self._sealed_like(raw[0], sealed, self._plain(self._open(sealed), now))
            return NOT_ALLOWED if self._ciphered else self._plain(raw, now)
        except WireRefusal as refusal:
            counter = self.server.seen.get(self._client, 0) + 1
            replay = refusal.reason == "replayed"
            return apdu.encode(apdu.ExceptionResponse(1, 6, counter) if replay else apdu.ExceptionResponse(1, 5))

    def _associate(self, raw: bytes, now: datetime) -> bytes:
        request = acse.decode(raw)
        self._proven = False
        if not isinstance(request, acse.AssociationRequest) or request.mechanism != acse.Mechanism.HLS_GMAC:
            return acse.encode(acse.AssociationResponse(b"\x0e\x01\x06\x01", result=1, diagnostic=11))
        self._client, self._asked = request.title, request.secret or b""
        self._ciphered = request.context == acse.LN_CIPHERED
        information = request.user_information
        if information[:1] == b"\x21":
            information = self._open(ciphering.parse(information))
        self._dedicated = acse.decode_initiate(information).dedicated_key
        inner = acse.decode(self.device.answer(acse.encode(acse.AssociationRequest(information)), now))
        if not isinstance(inner, acse.AssociationResponse) or inner.result:
            return acse.encode(acse.AssociationResponse(b"\x0e\x01\x06\x01", result=1, diagnostic=1))
        agreed = inner.user_information
        if self._ciphered:
            agreed = ciphering.service(self._seal(agreed, self.server.keys), agreed[0])
        return acse.encode(
            acse.AssociationResponse(
                agreed, 0, 1, 14, request.context, acse.Mechanism.HLS_GMAC, self.challenge, self.server.title
            )
        )

    def _plain(self, raw: bytes, now: datetime) -> bytes:
        """An APDU in plain: the client's proof, or, once that was good, anything for the meter."""
        request = apdu.decode(raw)
        if isinstance(request, apdu.ActionRequest) and request.method == PROOF:
            return apdu.encode(self._prove(request))
        return self.device.answer(raw, now) if self._proven else NOT_ALLOWED

    def _prove(self, request: apdu.ActionRequest) -> apdu.ActionResponse:
        proof = request.data.value if request.data is not None else None
        keys = self.server.keys
        good = isinstance(proof, bytes) and ciphering.gmac_good(
            proof, keys, title=self._client, challenge=self.challenge
        )
        counter = int.from_bytes(proof[1:5], "big") if isinstance(proof, bytes) else -1
        self._proven = good and counter > self._before  # it was taken before the counter that ciphers it
        if self._proven:
            self.server.seen[self._client] = max(counter, self.server.seen.get(self._client, -1))
        if not self._proven:
            return apdu.ActionResponse(request.invoke, apdu.Result.READ_WRITE_DENIED)
        ours = ciphering.gmac(keys, title=self.server.title, counter=self.server.following(), challenge=self._asked)
        return apdu.ActionResponse(request.invoke, apdu.Result.SUCCESS, Data(Tag.OCTET_STRING, ours))

    def _fresh(self, counter: int) -> bool:
        """Whether the client's counter has risen; remembered."""
        if counter <= self.server.seen.get(self._client, -1):
            return False
        self.server.seen[self._client] = counter
        return True

    def _open(self, sealed: Sealed) -> bytes:
        keys = Keys(self._dedicated, self.server.keys.authentication) if sealed.dedicated else self.server.keys
        plain = ciphering.unseal(sealed, keys, self._client)
        if not self._fresh(sealed.counter):
            raise WireRefusal("replayed", str(sealed.counter))
        return plain

    def _seal(self, plain: bytes, keys: Keys) -> Sealed:
        return ciphering.seal(plain, keys, title=self.server.title, counter=self.server.following())

    def _sealed_like(self, tag: int, asked: Sealed, plain: bytes) -> bytes:
        """The answer, ciphered as its request was."""
        if plain[:1] == bytes([apdu.EXCEPTION]):
            return plain
        keys = Keys(self._dedicated, self.server.keys.authentication) if asked.dedicated else self.server.keys
        sealed = self._seal(plain, keys)
        if tag in (apdu.GENERAL_GLO, apdu.GENERAL_DED):
            return ciphering.general(sealed, dedicated=asked.dedicated)
        return ciphering.service(sealed, plain[0], dedicated=asked.dedicated)
