"""Show what the configuration says, refuse what it may not say, and explain every setting."""

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "start"
group = typer.Typer(no_args_is_help=True, help=__doc__)


@group.command()
def check(home: HomeOption = None, output: FormOption = None) -> None:
    """Refuse a wrong prewatt.toml, book or policy with file:line:key and a hint (exit 78). Connects to nothing."""
    from prewatt import rules
    from prewatt.config import load
    from prewatt.home import find

    config = load(find(home))
    books, policies = rules.books(config), rules.policies(config)
    data = {
        "ok": True,
        "file": config.home.config,
        "gateways": len(config.gateway),
        "channels": [channel.name for channel in config.channel],
        "books": {name: book.hash for name, book in sorted(books.items())},
        "policies": {name: policy.version for name, policy in sorted(policies.items())},
    }
    emit(Result("config check", data))


@group.command()
def show(home: HomeOption = None, output: FormOption = None) -> None:
    """Print every setting in force, with the line it comes from. Secrets are only ever named."""
    from prewatt.config import load
    from prewatt.describe import in_force
    from prewatt.home import find

    config = load(find(home))
    emit(Result("config show", {"file": config.home.config, "settings": in_force(config)}, rows="settings"))


@group.command()
def schema(output: FormOption = None) -> None:
    """Print every setting there is: its table, type, default and meaning."""
    from prewatt.describe import settings

    emit(Result("config schema", {"settings": settings()}, rows="settings", columns=("key", "type", "default", "doc")))
