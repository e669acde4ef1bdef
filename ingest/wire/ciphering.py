"""Plain APDUs become ciphered ones and back: security suite 0, AES-GCM-128 (IEC 62056-5-3, clause 5.3).

The initialisation vector is the sender's system title and its invocation counter, so a counter that repeats under one
key breaks the key: who seals must have made the counter durable first. Bytes from the wire raise only ``WireRefusal``.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ingest.errors import WireRefusal
from ingest.wire.axdr import Cursor, octets

KEY_SIZE: Final = 16
TITLE_SIZE: Final = 8
TAG_SIZE: Final = 12
COUNTER_LIMIT: Final = 0xFFFF_FFFF
AUTHENTICATED, ENCRYPTED = 0x10, 0x20
BOTH: Final = AUTHENTICATED | ENCRYPTED
_BROADCAST, _COMPRESSED = 0x40, 0x80
_AES_128: Final = (0, 1)  # suites with AES-GCM-128: 1 only agrees on keys in another way, and Kaifa's pushes name it
# glo- and ded- tags of each plain tag (table 9 of the clause); 0xDB and 0xDC wrap any.
GLO: Final = {
    0x01: 0x21,
    0x08: 0x28,
    0xC0: 0xC8,
    0xC1: 0xC9,
    0xC2: 0xCA,
    0xC3: 0xCB,
    0xC4: 0xCC,
    0xC5: 0xCD,
    0xC7: 0xCF,
}
DED: Final = {0xC0: 0xD0, 0xC1: 0xD1, 0xC2: 0xD2, 0xC3: 0xD3, 0xC4: 0xD4, 0xC5: 0xD5, 0xC7: 0xD7}
_PLAIN: Final = {ciphered: (plain, False) for plain, ciphered in GLO.items()}
_PLAIN_DED: Final = {ciphered: (plain, True) for plain, ciphered in DED.items()}


@dataclass(frozen=True, slots=True)
class Keys:
    """The global unicast key and the authentication key, 16 bytes each; they never show in a repr."""

    encryption: bytes = field(repr=False)
    authentication: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        """Refuse keys of the wrong length, without showing them."""
        if len(self.encryption) != KEY_SIZE or len(self.authentication) not in (0, KEY_SIZE):
            raise ValueError("keys of security suite 0 have 16 bytes")


class Sealed(NamedTuple):
    """A ciphered APDU taken apart: who sealed it, its security header and what only a key opens.

    ``plain_tag`` is 0 for general ciphering, which holds a whole APDU; ``title`` is empty for glo- and ded-.
    """

    title: bytes
    control: int
    counter: int
    body: bytes
    dedicated: bool = False
    plain_tag: int = 0

    @property
    def tag_size(self) -> int:
        """Bytes of the authentication tag at the end of the body."""
        return TAG_SIZE if self.control & AUTHENTICATED else 0


def parse(raw: bytes) -> Sealed:
    """A ciphered APDU taken apart; WireRefusal("unknown_apdu") for a tag that is none."""
    cursor = Cursor(raw)
    tag = cursor.byte()
    title = b""
    if tag in (0xDB, 0xDC):
        title = cursor.octets()
        if len(title) not in (0, TITLE_SIZE):
            raise WireRefusal("bad_title", f"a system title of {len(title)} bytes")
    elif tag not in _PLAIN and tag not in _PLAIN_DED:
        raise WireRefusal("unknown_apdu", f"tag {tag:02x}")
    content = Cursor(cursor.octets())
    cursor.end()
    control, counter = content.byte(), content.uint(4)
    body = content.take(content.left)
    plain, dedicated = _PLAIN.get(tag) or _PLAIN_DED.get(tag) or (0, tag == 0xDC)
    return Sealed(title, control, counter, body, dedicated, plain)


def unseal(sealed: Sealed, keys: Keys, title: bytes = b"") -> bytes:
    """The plain APDU, authenticated; ``title`` is the peer's where the APDU carries none.

    WireRefusal: ``bad_tag`` (another key, or changed on the way), ``unsupported_security``, ``truncated``.
    """
    vector, body, tag = _apart(sealed, title)
    if not sealed.control & AUTHENTICATED:
        return _counter_mode(keys, vector, body) if sealed.control & ENCRYPTED else body
    if not keys.authentication:
        raise WireRefusal("ciphered_no_key", "the authentication key is missing")
    encrypted = bool(sealed.control & ENCRYPTED)
    cipher = Cipher(algorithms.AES(keys.encryption), modes.GCM(vector, tag, min_tag_length=TAG_SIZE))
    decryptor = cipher.decryptor()
    decryptor.authenticate_additional_data(_associated(sealed.control, keys, b"" if encrypted else body))
    try:
        plain = decryptor.update(body if encrypted else b"") + decryptor.finalize()
    except InvalidTag:
        raise WireRefusal("bad_tag", f"counter {sealed.counter}: another key, or changed on the way") from None
    return plain if encrypted else body


def read_unverified(sealed: Sealed, keys: Keys, title: bytes = b"") -> bytes:
    """What the encryption key alone shows, without authentication: for looking at frames, never for acting on them."""
    vector, body, _ = _apart(sealed, title)
    return _counter_mode(keys, vector, body) if sealed.control & ENCRYPTED else body


def seal(plain: bytes, keys: Keys, *, title: bytes, counter: int, control: int = BOTH) -> Sealed:
    """Cipher ``plain`` as sent by ``title`` under ``counter``; ValueError when the counter is used up."""
    if not 0 <= counter < COUNTER_LIMIT:
        raise ValueError("the invocation counter is used up: put new keys into the meter")
    vector = title + counter.to_bytes(4, "big")
    if not control & AUTHENTICATED:
        body = _counter_mode(keys, vector, plain) if control & ENCRYPTED else plain
        return Sealed(title, control, counter, body)
    encrypted = bool(control & ENCRYPTED)
    encryptor = Cipher(algorithms.AES(keys.encryption), modes.GCM(vector)).encryptor()
    encryptor.authenticate_additional_data(_associated(control, keys, b"" if encrypted else plain))
    body = encryptor.update(plain if encrypted else b"") + encryptor.finalize()
    return Sealed(title, control, counter, (body if encrypted else plain) + encryptor.tag[:TAG_SIZE])


def general(sealed: Sealed, *, dedicated: bool = False) -> bytes:
    """As general-glo-ciphering (or general-ded-): the system title travels with it."""
    return bytes([0xDC if dedicated else 0xDB]) + octets(sealed.title) + octets(_content(sealed))


def service(sealed: Sealed, plain_tag: int, *, dedicated: bool = False) -> bytes:
    """As glo- (or ded-) APDU of the service with ``plain_tag``."""
    return bytes([(DED if dedicated else GLO)[plain_tag]]) + octets(_content(sealed))


def gmac(keys: Keys, *, title: bytes, counter: int, challenge: bytes) -> bytes:
    """What HLS mechanism 5 answers to ``challenge``: security header and tag (clause 5.4.3)."""
    sealed = seal(challenge, keys, title=title, counter=counter, control=AUTHENTICATED)
    return bytes([AUTHENTICATED]) + counter.to_bytes(4, "big") + sealed.body[-TAG_SIZE:]


def gmac_good(answer: bytes, keys: Keys, *, title: bytes, challenge: bytes) -> bool:
    """Whether ``answer`` proves that its sender, ``title``, holds the keys."""
    if len(answer) != 5 + TAG_SIZE or answer[0] != AUTHENTICATED:
        return False
    sealed = Sealed(title, AUTHENTICATED, int.from_bytes(answer[1:5], "big"), challenge + answer[5:])
    try:
        unseal(sealed, keys)
    except WireRefusal:
        return False
    return True


def _content(sealed: Sealed) -> bytes:
    return bytes([sealed.control]) + sealed.counter.to_bytes(4, "big") + sealed.body


def _apart(sealed: Sealed, title: bytes) -> tuple[bytes, bytes, bytes]:
    """Initialisation vector, body and tag."""
    if sealed.control & 0x0F not in _AES_128 or sealed.control & (_COMPRESSED | _BROADCAST):
        raise WireRefusal("unsupported_security", f"security control {sealed.control:02x}")
    who = sealed.title or title
    if len(who) != TITLE_SIZE:
        raise WireRefusal("bad_title", "nobody says whose counter it is")
    if len(sealed.body) < sealed.tag_size:
        raise WireRefusal("truncated", f"{len(sealed.body)} bytes, the tag alone has {TAG_SIZE}")
    cut = len(sealed.body) - sealed.tag_size
    return who + sealed.counter.to_bytes(4, "big"), sealed.body[:cut], sealed.body[cut:]


def _associated(control: int, keys: Keys, plain: bytes) -> bytes:
    return bytes([control]) + keys.authentication + plain


def _counter_mode(keys: Keys, vector: bytes, data: bytes) -> bytes:
    """AES-GCM's encryption without its tag: counter mode from block 2 (NIST SP 800-38D, 7.1)."""
    cipher = Cipher(algorithms.AES(keys.encryption), modes.CTR(vector + b"\x00\x00\x00\x02")).encryptor()
    return cipher.update(data) + cipher.finalize()
