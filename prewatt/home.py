"""A directory goes in, the places of everything that one installation owns come out."""

import os
from dataclasses import dataclass
from pathlib import Path

from prewatt.errors import Usage

CONFIG = "prewatt.toml"


@dataclass(frozen=True, slots=True)
class Home:
    """One installation's folder: configuration, books, policies, secrets, the store and the daemon's socket."""

    root: Path

    @property
    def config(self) -> Path:
        """``prewatt.toml``."""
        return self.root / CONFIG

    @property
    def secrets(self) -> Path:
        """One file (0600) per secret; the environment and systemd credentials come before it."""
        return self.root / "secrets"

    @property
    def socket(self) -> Path:
        """Where the daemon takes the writing verbs of the command line."""
        return self.root / "run" / "prewatt.sock"

    @property
    def outbox(self) -> Path:
        """Where the file channel of notices writes unless told otherwise."""
        return self.root / "outbox"

    @property
    def state(self) -> Path:
        """The SQLite file that is the only commit point."""
        return self.root / "state.db"

    @property
    def catalog(self) -> Path:
        """The views that analysts open."""
        return self.root / "catalog.duckdb"

    def under(self, name: str) -> Path:
        """A path of the configuration: relative ones start at the home."""
        return self.root / name

    def must_exist(self) -> "Home":
        """This home, or a refusal that says how to make one."""
        if not self.config.is_file():
            raise Usage(f"no {CONFIG} there", which=str(self.root), attempt=f"prewatt init {self.root}")
        return self


def default_root() -> Path:
    """The folder used without --home and PREWATT_HOME: the current one if it is a home, else the user's data folder."""
    here = Path.cwd()
    if (here / CONFIG).is_file():
        return here
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "prewatt"


def find(option: Path | None) -> Home:
    """The home that the command line, the environment or the current folder names."""
    named = option or (Path(os.environ["PREWATT_HOME"]) if os.environ.get("PREWATT_HOME") else None)
    return Home((named or default_root()).expanduser().absolute())
