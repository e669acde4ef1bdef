"""An action and its arguments go in over the daemon's local socket, progress and the action's answer come out.

HTTP over a Unix socket of mode 0600 in the home: one POST, answered by JSON lines, the last of which is the result.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prewatt.errors import BadConfig, ShellError, TryAgain, Usage
from prewatt.progress import Progress

CONNECT_S = 2.0
ANSWER_S = 3600.0
_KINDS = {kind.code: kind for kind in (ShellError, Usage, TryAgain, BadConfig)}


class _Connection(http.client.HTTPConnection):
    """An HTTP connection whose address is a socket file."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CONNECT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file, then wait as long as an import may take."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_S)
        self.sock.connect(str(self._path))
        self.sock.settimeout(ANSWER_S)


def alive(path: Path) -> bool:
    """Whether a daemon answers at the socket."""
    if not path.exists():
        return False
    connection = _Connection(path)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def ask(path: Path, action: str, args: Mapping[str, Any], *, actor: str, progress: Progress) -> dict[str, Any]:
    """Have the daemon do ``action``; its refusal is raised here as if it had been ours."""
    connection = _Connection(path)
    body = json.dumps({"actor": actor, "args": dict(args)})
    try:
        connection.request("POST", f"/local/{action}", body=body, headers={"content-type": "application/json"})
        answer = connection.getresponse()
        for line in answer:
            said = json.loads(line)
            if "progress" in said:
                progress(*said["progress"])
            elif "error" in said:
                error = said["error"]
                kind = _KINDS.get(int(error["exit"]), ShellError)
                raise kind(error["error"], which=error.get("which", ""), attempt=error.get("try", ""))
            else:
                return dict(said["result"])
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TryAgain(
            f"the daemon did not answer: {error}", which=str(path), attempt="prewatt status, then the same call again"
        ) from None
    finally:
        connection.close()
    raise TryAgain(
        "the daemon stopped in the middle", which=str(path), attempt="the same call again: nothing counts twice"
    )
