"""The store goes in, the safety page comes out: the kill switch, the breaker, and whom it keeps back."""

from starlette.requests import Request
from starlette.responses import Response

from control import switches
from control.switches import Standing
from prewatt.console.board import frame, snapshot
from prewatt.console.source import Source
from prewatt.console.viewer import MESSAGE_LIMIT, Console
from prewatt.console.views import Frame
from storage.records import Account
from storage.unit import Reader


async def page(console: Console, request: Request) -> Response:
    """Both switches as they stand, and the buttons of whoever may."""
    found, standing, names = await console.watch.once(("safety",), lambda: _look(console.source))
    message = request.query_params.get("message", "")[:MESSAGE_LIMIT]
    return console.draw(request, "safety.html", found, "safety", s=standing, names=names, message=message)


def _look(source: Source) -> tuple[Frame, Standing, dict[str, str]]:
    now = source.world().now

    def look(reader: Reader) -> tuple[Standing, dict[str, str]]:
        found = switches.standing(reader, now)
        kept = reader.find(Account, account__in=list(found.kept))
        return found, {row.account: row.name or row.account for row in kept}

    return frame(source, snapshot(source, [])), *source.store.read(look)
