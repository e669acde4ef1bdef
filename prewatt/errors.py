"""What the shell says when it stops: an error becomes what, which, a hint and an exit code.

ShellError      1   the verb failed
├── Usage       2   the command line asks for something that does not exist
├── TryAgain   75   somebody else holds what is needed: the same call may go through later
└── BadConfig  78   configuration, a book or a policy is wrong: file, line, key, hint
"""

import sys
from typing import Any


class ShellError(Exception):
    """A verb that cannot go on: ``what`` happened, to ``which`` thing, and what to ``attempt`` next."""

    code = 1

    def __init__(self, what: str, *, which: str = "", attempt: str = "") -> None:
        """Keep the three parts apart, so that every form of output can show them."""
        super().__init__(what)
        self.what = what
        self.which = which
        self.attempt = attempt

    def as_json(self) -> dict[str, Any]:
        """The object that ``-o json`` prints in place of a result."""
        parts = {"which": self.which, "try": self.attempt}
        kept = {key: value for key, value in parts.items() if value}
        return {"schema": "prewatt.error/1", "error": self.what, **kept, "exit": self.code}

    def as_text(self) -> str:
        """The lines that a person reads on stderr."""
        lines = [f"error: {self.what}"]
        if self.which:
            lines.append(f"  in: {self.which}")
        if self.attempt:
            lines.append(f"  try: {self.attempt}")
        return "\n".join(lines)


class Usage(ShellError):
    """The command line names something that does not exist or contradicts itself."""

    code = 2


class TryAgain(ShellError):
    """Another process holds the store or answers late; nothing was changed."""

    code = 75


class BadConfig(ShellError):
    """A file of the home folder is wrong; ``which`` is file:line:key."""

    code = 78


# Errors of the libraries, by module and class name: looked up only where the module is loaded already.
_FOREIGN: tuple[tuple[str, str, type[ShellError], str], ...] = (
    ("storage.errors", "StoreLocked", TryAgain, "stop the other process, or let it do the work: prewatt status"),
    ("storage.errors", "SchemaTooNew", BadConfig, "run the prewatt that wrote this store, or restore a backup"),
    ("storage.errors", "StorageError", ShellError, "prewatt doctor"),
    ("tariff.errors", "BookError", BadConfig, "prewatt tariff check FILE"),
    ("tariff.errors", "TariffError", ShellError, "prewatt tariff check FILE"),
    ("control.errors", "PolicyError", BadConfig, "prewatt config check"),
    ("control.errors", "ControlError", ShellError, "prewatt status"),
    ("ingest.errors", "ProfileError", BadConfig, "prewatt meters profiles"),
    ("ingest.errors", "IngestError", ShellError, "prewatt doctor"),
)


def translate(error: BaseException) -> ShellError | None:
    """The shell's words for a library's error, or None for one that nobody foresaw."""
    if isinstance(error, ShellError):
        return error
    for module, name, kind, attempt in _FOREIGN:
        known = getattr(sys.modules.get(module), name, None)
        if isinstance(known, type) and isinstance(error, known):
            hint = str(getattr(error, "hint", "") or attempt)
            return kind(str(error).removesuffix(f" ({hint})"), attempt=hint)
    if isinstance(error, OSError) and error.filename:
        return ShellError(f"{error.strerror or type(error).__name__}", which=str(error.filename))
    return None
