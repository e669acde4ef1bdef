"""The name of a secret goes in, its bytes come out: from the environment, systemd credentials, or a file of mode 0600.

Never from a command line and never from TOML: a configuration names secrets, it does not hold them.
"""

import os
import re
import stat
from pathlib import Path

from prewatt.errors import BadConfig

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
LIMIT = 16 * 1024


def variable(name: str) -> str:
    """The environment variable that holds a secret.

    >>> variable("payments-webhook")
    'PREWATT_SECRET_PAYMENTS_WEBHOOK'
    """
    return "PREWATT_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def read(folder: Path, name: str) -> bytes:
    """The secret ``name``; BadConfig says where it was looked for, never what it is."""
    if not NAME.fullmatch(name):
        raise BadConfig("not the name of a secret", attempt="put the secret into a file of mode 0600 and name the file")
    given = os.environ.get(variable(name))
    if given is not None:
        return given.encode()
    for place in _places(folder, name):
        if place.is_file():
            return _from_file(place)
    raise BadConfig(
        f"secret {name!r} is not set",
        which=str(folder / name),
        attempt=f"export {variable(name)}=..., or write the file and chmod 600 it",
    )


def _places(folder: Path, name: str) -> list[Path]:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return ([Path(credentials) / name] if credentials else []) + [folder / name]


def _from_file(place: Path) -> bytes:
    mode = stat.S_IMODE(place.stat().st_mode)
    if mode & 0o077:
        raise BadConfig(f"mode {mode:04o}: others can read it", which=str(place), attempt=f"chmod 600 {place}")
    with place.open("rb") as file:
        value = file.read(LIMIT + 1)
    if len(value) > LIMIT:
        raise BadConfig(f"longer than {LIMIT} bytes", which=str(place))
    return value.strip(b"\r\n")
