"""A directory goes in, a home that runs comes out: folders, a commented configuration, a key for payments."""

import base64
import os
from pathlib import Path

from prewatt.errors import Usage
from prewatt.home import Home

TEMPLATE = """\
# prewatt: one installation. `prewatt config schema` explains every setting, `prewatt config check` refuses a wrong one.

[site]
name = "{name}"
zone = "{zone}"
currency = "{currency}"

[books]
default = "{book}"

[policies]
template = "{template}"
shadow_days = 30             # a new class is only watched so long: decided on, nothing sent; `prewatt shadow --help`

# One [[gateway]] for each address with meters behind it; the meters come with `prewatt accounts import`.
# [[gateway]]
# name = "east"
# protocol = "modbus"        # or dlms
# host = "192.0.2.10"
# port = 502

# Handhelds speak MQTT 3.1.1. `embedded = true` starts the broker that comes with prewatt.
# [broker]
# enabled = true
# host = "127.0.0.1"

# How notices leave; without any they are appended to outbox/notices.ndjson.
# [[channel]]
# name = "sms"
# kind = "webhook"
# url = "https://sms.example/send"
# secret = "sms-gateway"     # the NAME of a secret: the file secrets/sms-gateway, mode 0600

[payments]
webhook_secrets = ["payments-webhook"]

[http]
host = "127.0.0.1"
port = 8480
"""

WEBHOOK_SECRET = "payments-webhook"
FIRST_PASSWORD = "admin-password"


def found(home: Home, **words: str) -> list[Path]:
    """Make the folders and files of a new home and return them; an existing configuration is never touched."""
    if home.config.exists():
        raise Usage("this is a home already", which=str(home.config), attempt=f"prewatt doctor --home {home.root}")
    made = [home.root, home.secrets, home.outbox, home.socket.parent, home.under("books"), home.under("policies")]
    for folder in made:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(home.config, TEMPLATE.format(**words).encode(), 0o600)
    key = home.secrets / WEBHOOK_SECRET
    if not key.exists():
        _write(key, b"whsec_" + base64.b64encode(os.urandom(32)) + b"\n", 0o600)
    return [home.config, key, _first_admin(home), *made[1:]]


def _first_admin(home: Home) -> Path:
    """The user ``admin`` with a random first password, which only a file of mode 0600 tells and the login changes."""
    from prewatt.people import People, User, scrypt
    from prewatt.roles import ADMIN

    place = home.secrets / FIRST_PASSWORD
    people = People(home.secrets)
    if not people.everybody():
        first = base64.urlsafe_b64encode(os.urandom(15)).decode()
        place.unlink(missing_ok=True)
        _write(place, first.encode() + b"\n", 0o600)
        people.put(User("admin", (ADMIN,), scrypt(first)))
    return place


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file that never was readable by more people than ``mode`` says."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


def private_file(path: Path) -> bytes:
    """32 random bytes of this home, made on the first call and kept (0600)."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, os.urandom(32), 0o600)
    return path.read_bytes()
