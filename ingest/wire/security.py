"""One client's security on one association: plain APDUs become protected ones, protected answers become plain ones.

HLS mechanism 5 (GMAC) proves both sides by challenges; after it every APDU is ciphered the way ``Wrap`` says. Counters
come from a lease that was made durable before anything is sent; the peer's must rise, or the answer is a replay.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ingest.errors import WireRefusal
from ingest.wire import acse, apdu, ciphering
from ingest.wire.axdr import Data, Tag
from ingest.wire.ciphering import Keys, Sealed
from ingest.wire.cosem import ClassId, Name

ASSOCIATION: Final = "0.0.40.0.0.255"
REPLY_TO_HLS: Final = Name(ClassId.ASSOCIATION_LN, ASSOCIATION, 1)
WARN_AT: Final = ciphering.COUNTER_LIMIT // 10 * 9
"""A counter above this is nearly used up: new keys must be put into the meter."""


class Wrap(StrEnum):
    """How APDUs are protected after the association."""

    NONE = "none"
    GLO = "glo"
    DED = "ded"
    GENERAL_GLO = "general-glo"
    GENERAL_DED = "general-ded"

    @property
    def dedicated(self) -> bool:
        """Whether the key of the association protects them, not the meter's."""
        return self in (Wrap.DED, Wrap.GENERAL_DED)

    @property
    def general(self) -> bool:
        """Whether any APDU is wrapped whole, with the system title."""
        return self in (Wrap.GENERAL_GLO, Wrap.GENERAL_DED)


@dataclass(slots=True)
class Lease:
    """Invocation counters that this process may use: from ``following`` up to ``end``, each once."""

    following: int
    end: int

    def take(self) -> int:
        """The next one; WireRefusal("counter_lease") when none is left: associate again."""
        if self.following >= min(self.end, ciphering.COUNTER_LIMIT):
            raise WireRefusal("counter_lease", "the invocation counters of this association are used up")
        self.following += 1
        return self.following - 1


@dataclass(slots=True)
class Security:
    """``title`` is our system title, ``challenge`` 8 to 64 random bytes, ``dedicated`` 16 where ``wrap`` wants them.

    ``peer_last`` is the highest counter that the meter has used.
    """

    keys: Keys
    title: bytes
    lease: Lease
    challenge: bytes = field(repr=False)
    wrap: Wrap = Wrap.GLO
    dedicated: bytes = field(default=b"", repr=False)
    peer: bytes = b""
    peer_last: int = -1

    def request(self) -> acse.AssociationRequest:
        """The AARQ, its initiate ciphered unless nothing is to be."""
        plain = acse.encode_initiate(acse.Initiate(acse.PROPOSED, dedicated_key=self.dedicated), answer=False)
        if self.wrap is Wrap.NONE:
            return acse.AssociationRequest(plain, acse.LN, acse.Mechanism.HLS_GMAC, self.challenge, self.title)
        information = ciphering.service(self._seal(plain, self.keys), plain[0])
        context = acse.LN_CIPHERED
        return acse.AssociationRequest(information, context, acse.Mechanism.HLS_GMAC, self.challenge, self.title)

    def initiated(self, response: acse.AssociationResponse) -> acse.Initiate:
        """What the meter agreed to; its title is remembered."""
        self.peer = response.title
        information = response.user_information
        if information[:1] == b"\x28":
            information = self._open(ciphering.parse(information), self.keys)
        elif self.wrap is not Wrap.NONE:
            raise WireRefusal("unprotected", "the meter answers a ciphered request in plain")
        return acse.decode_initiate(information)

    def proof(self, challenge: bytes) -> Data:
        """Our answer to the meter's challenge."""
        counter = self.lease.take()
        return Data(Tag.OCTET_STRING, ciphering.gmac(self.keys, title=self.title, counter=counter, challenge=challenge))

    def proven(self, answer: Data | apdu.Denied | None) -> bool:
        """Whether the meter's answer to ours shows that it has the keys too."""
        raw = answer.value if isinstance(answer, Data) else None
        return isinstance(raw, bytes) and ciphering.gmac_good(raw, self.keys, title=self.peer, challenge=self.challenge)

    def protect(self, plain: bytes) -> bytes:
        """A request as it leaves; ACSE APDUs stay as they are."""
        if self.wrap is Wrap.NONE or not plain or acse.AARQ <= plain[0] <= acse.RLRE:
            return plain
        sealed = self._seal(plain, self._key())
        if self.wrap.general:
            return ciphering.general(sealed, dedicated=self.wrap.dedicated)
        return ciphering.service(sealed, plain[0], dedicated=self.wrap.dedicated)

    def reveal(self, raw: bytes) -> bytes:
        """An answer in plain; what should have been ciphered and is not is refused ("unprotected")."""
        if raw[:1] and raw[0] in apdu.CIPHERED:
            sealed = ciphering.parse(raw)
            return self._open(sealed, self._key() if sealed.dedicated else self.keys)
        acse_or_error = raw[:1] and (acse.AARQ <= raw[0] <= acse.RLRE or raw[0] in (apdu.EXCEPTION, 0x0E, 0x0F))
        if self.wrap is Wrap.NONE or acse_or_error:
            return raw
        raise WireRefusal("unprotected", f"tag {raw[:1].hex()} in plain on a ciphered association")

    def _key(self) -> Keys:
        return Keys(self.dedicated, self.keys.authentication) if self.wrap.dedicated else self.keys

    def _seal(self, plain: bytes, keys: Keys) -> Sealed:
        return ciphering.seal(plain, keys, title=self.title, counter=self.lease.take())

    def _open(self, sealed: Sealed, keys: Keys) -> bytes:
        if sealed.title and self.peer and sealed.title != self.peer:
            raise WireRefusal("wrong_unit", f"system title {sealed.title.hex()} answers")
        if sealed.control & ciphering.BOTH != ciphering.BOTH:
            raise WireRefusal("unprotected", f"security control {sealed.control:02x}")
        plain = ciphering.unseal(sealed, keys, self.peer)
        if sealed.counter <= self.peer_last:
            raise WireRefusal("replayed", f"counter {sealed.counter} after {self.peer_last}")
        self.peer_last = sealed.counter
        return plain


def keys_of(secret: bytes) -> Keys:
    """Encryption and authentication key from one secret: 32 bytes, or 64 hex digits with marks between them or not.

    WireRefusal("bad_secret") for anything else, without showing it.
    """
    raw = secret
    if len(raw) != 2 * ciphering.KEY_SIZE:
        try:
            raw = bytes.fromhex(secret.decode("ascii").replace(":", "").replace("-", ""))
        except ValueError:
            raw = b""
    if len(raw) != 2 * ciphering.KEY_SIZE:
        raise WireRefusal("bad_secret", "two keys of 16 bytes are wanted: 64 hex digits, encryption key first")
    return Keys(raw[: ciphering.KEY_SIZE], raw[ciphering.KEY_SIZE :])
