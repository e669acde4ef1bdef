"""Words of a command line go in, one verb runs, its exit code comes out: 0, 1 failed, 2 usage, 75 try again, 78 config.

Each file of ``prewatt/verbs`` is one verb: a function ``command`` or a Typer app ``group``, its ``PANEL`` in the help,
and a docstring that is its help. They import what is heavy only when they run, so that ``--help`` stays quick.
"""

import importlib
import os
import pkgutil
import sys
import traceback
from typing import Any

import typer

from prewatt import __version__, verbs
from prewatt.errors import ShellError, translate
from prewatt.output import emit_error

PANELS = ("start", "run", "work", "field", "data", "operate")


def names() -> list[str]:
    """The verbs, in the order of their files."""
    return sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))


def load(name: str) -> Any:
    """One verb's module; a file that is no verb is a mistake of ours."""
    module = importlib.import_module(f"{verbs.__name__}.{name}")
    if hasattr(module, "command") == hasattr(module, "group") or module.PANEL not in PANELS:
        raise TypeError(f"prewatt/verbs/{name}.py needs PANEL (one of {PANELS}) and either command or group")
    return module


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="prewatt",
        help="Meter reads become money every hour, and supply stays on or off by the rules.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    loaded = {name: load(name) for name in names()}
    for name in sorted(loaded, key=lambda n: (PANELS.index(loaded[n].PANEL), n)):
        module = loaded[name]
        if hasattr(module, "group"):
            app.add_typer(module.group, name=name, rich_help_panel=module.PANEL)
        else:
            app.command(name, rich_help_panel=module.PANEL)(module.command)
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"prewatt {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it and stop."),
) -> None:
    """Meter reads become money every hour, and supply stays on or off by the rules."""


def main() -> None:
    """Run the command line; errors become words on stderr and the exit code of their kind."""
    try:
        build()()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        known = translate(error)
        if known is None:
            traceback.print_exc()
            known = ShellError(f"{type(error).__name__}: {error}", attempt="report it with the lines above")
        emit_error(known)
        raise SystemExit(known.code) from None


if __name__ == "__main__":
    main()
