"""The running stage goes in, the terminal's board comes out: tiles, least time left, what just happened."""

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from prewatt.console import board
from prewatt.console.views import Board
from prewatt.console.words import Words
from prewatt.demo.stage import Stage
from prewatt.demo.story import Step
from prewatt.frontdesk import source_of

COLOURS = {
    "active": "green",
    "warning": "yellow",
    "grace": "dark_orange",
    "pending": "red",
    "disconnected": "bold red",
    "reconnecting": "blue",
    "protected": "cyan",
    "stale": "bright_black",
}
BARS = " ▁▂▃▄▅▆▇█"
ROWS, STEPS = 9, 9


def drawn(on: Stage, steps: list[Step]) -> Group:
    """The whole screen."""
    view = board.board(source_of(on.daemon.shell))
    words = Words("en", view.frame.zone)
    head = Text.assemble(
        ("prewatt demo ", "bold"),
        f"{view.frame.accounts} accounts · {view.frame.gateways} gateways · DLMS, Modbus, MQTT · ",
        (words.clock(on.clock.now(), "%a %d %b %H:%M"), "bold yellow"),
        (f"  {on.reads:,} reads · {_rate(on):,} reads/s rated", "bright_black"),
    )
    tiles = Text("   ".join(""))
    for name, count in view.tiles:
        tiles.append(f"  {count} {name}", COLOURS[name])
    foot = Text.assemble("console ", (on.address, "underline blue"), "   stop ", ("Ctrl-C", "green"))
    happened = Text("\n".join(f"[{words.clock(s.at, '%d %H:%M')}] {s.name}: {s.seen}" for s in steps[-STEPS:]))
    left = Panel(_table(view, words), title="least time left", title_align="left", border_style="bright_black")
    past = Panel(happened, title="what just happened", title_align="left", border_style="bright_black")
    return Group(head, Panel(tiles, border_style="bright_black"), left, past, foot)


def _rate(on: Stage) -> int:
    return int(on.reads / on.rating_s) if on.rating_s else 0


def _table(view: Board, words: Words) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    for justify in ("left", "left", "right", "right", "left"):
        table.add_column(justify=justify)
    table.add_row(*(Text(name, "bright_black") for name in ("account", "state", "balance", "left", "load, last 24 h")))
    for row in view.attention[:ROWS]:
        table.add_row(
            row.name,
            Text(row.state, COLOURS[row.state]),
            words.money(row.available_micro, row.currency),
            words.left(row.hours_left),
            Text(_bars(row.spark[-24:]), "cyan"),
        )
    return table


def _bars(values: tuple[int, ...]) -> str:
    top = max(values, default=0)
    return "".join(BARS[1 + v * (len(BARS) - 2) // top] if top else BARS[1] for v in values)


def live() -> Live:
    """A live region on stderr, so that stdout keeps the figures."""
    return Live(console=Console(stderr=True), auto_refresh=False, screen=False)
