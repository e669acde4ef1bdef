"""Write docs/reference from the code's own words: `python -m tests.reference`; the tidy test compares."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
HOW = "python -m tests.reference"


def sentences(path: Path) -> str:
    """A module's docstring up to its first empty line, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def plugins(folder: str, title: str, lead: str) -> str:
    """A page with one row per plug-in file of ``folder``."""
    rows = [
        f"| `{path.stem}` | {sentences(path)} |"
        for path in sorted((ROOT / folder).glob("*.py"))
        if path.name != "__init__.py"
    ]
    return "\n".join([f"# {title}", "", lead, "", "| file | what it is |", "|---|---|", *rows, ""])


def drivers() -> str:
    """Every meter driver, with what it is proven on and whether its relay may be driven."""
    from ingest.drivers import drivers as installed

    lead = (
        "One file per meter model in `ingest/drivers/`, with its example frames; `prewatt meters profiles` lists them."
    )
    head = ["# Meter drivers", "", lead, "", "| file | what it is | relay | proven on |", "|---|---|---|---|"]
    rows = [
        f"| `{name}` | {sentences(ROOT / 'ingest/drivers' / f'{name}.py')} | {'yes' if known.switchable else 'no'} | "
        + known.proven.replace("|", "\\|")
        + " |"
        for name, known in sorted(installed().items())
    ]
    return "\n".join([*head, *rows, ""])


def pushes() -> str:
    """Every push profile."""
    return plugins(
        "ingest/pushes",
        "Push profiles",
        "One file per model and its lists in `ingest/pushes/`; `prewatt frames decode --profile NAME` forces one.",
    )


def components() -> str:
    """Every price component."""
    return plugins(
        "tariff/components",
        "Price components",
        "One file per kind in `tariff/components/`; a book names it as `kind` in `[[version.component]]`.",
    )


def policies() -> str:
    """Every control rule."""
    return plugins(
        "control/policies",
        "Control rules",
        "One file per rule in `control/policies/`; a hold beats a disconnection.",
    )


def channels() -> str:
    """Every notice channel."""
    return plugins(
        "control/channels",
        "Notice channels",
        "One file per channel in `control/channels/`; `prewatt.toml` names it as `kind` in `[[channel]]`.",
    )


def payments() -> str:
    """Every payment channel."""
    return plugins(
        "control/payments",
        "Payment channels",
        "One file per channel in `control/payments/`: bytes become payments or a refusal.",
    )


def commands() -> str:
    """Every verb with its options, as the command line itself knows them."""
    import typer

    from prewatt import cli

    lines = ["# Commands", "", "`prewatt VERB --help` says the same. Exit codes: 0, 1 failed, 2 usage, 75 try again,"]
    lines += ["78 configuration.", ""]
    root = typer.main.get_command(cli.build())
    for name, verb in getattr(root, "commands", {}).items():
        below = getattr(verb, "commands", None)
        lines += [f"## {name}", "", " ".join((verb.help or "").split()), ""]
        for word, leaf in (below or {"": verb}).items():
            if below:
                lines += [f"### {name} {word}", "", " ".join((leaf.help or "").split()), ""]
            lines += _parameters(leaf)
    return "\n".join(lines).rstrip() + "\n"


def _parameters(verb: Any) -> list[str]:
    """A table of what one verb takes, but for what all of them take."""
    rows = []
    for parameter in verb.params:
        if parameter.name in ("home", "output", "help"):
            continue
        spelled = (
            ", ".join(parameter.opts)
            if parameter.param_type_name == "option"
            else (parameter.metavar or parameter.name.upper())
        )
        said = " ".join((getattr(parameter, "help", "") or "").split()).replace("|", "\\|")
        rows.append(f"| `{spelled}` | {said} |")
    return ["| argument | what it says |", "|---|---|", *rows, ""] if rows else []


def configuration() -> str:
    """Every setting of prewatt.toml."""
    from prewatt.describe import settings

    lines = ["# Settings", "", "What `prewatt.toml` may say; `prewatt config schema` prints the same.", ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for row in settings():
        cells = [str(row[name]).replace("|", "\\|") for name in ("type", "default", "doc")]
        lines.append(f"| `{row['key']}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def lifecycle() -> str:
    """The life of a command, drawn from the table that runs it."""
    from control import commands

    rules = (ast.get_docstring(ast.parse((ROOT / "control/commands.py").read_text(encoding="utf-8"))) or "").split(
        "\n\n"
    )
    events = [f"| `{event.value}` | {said} |" for event, said in _events()]
    lines = ["# The life of a command", "", "Drawn from `control.commands.TRANSITIONS`, the table that runs it.", ""]
    lines += ["```mermaid", commands.diagram().rstrip(), "```", "", "## The rules", "", rules[2].replace("``", "`"), ""]
    return "\n".join([*lines, "## The events", "", "| event | when |", "|---|---|", *events, ""])


def _events() -> list[tuple[Any, str]]:
    """Each event with the comment beside it."""
    from control.commands import Event

    source = (ROOT / "control/commands.py").read_text(encoding="utf-8")
    return [(event, re.findall(rf'{event.name} = "{event.value}"  # (.*)', source)[0]) for event in Event]


def ablations() -> str:
    """Every safeguard, and the test that turns red without it."""
    from tests.ablations.page import page

    return page()


def stories() -> str:
    """What went wrong in the field, and why it does not here."""
    from tests.stories.replay import stories as told

    lines = ["# Stories of the field", "", "Each is a file of `sim/scenarios/field` that `tests/stories` replays on"]
    lines += ["the engine.", "", "| story | what happened | why not here |", "|---|---|---|"]
    lines += [f"| `{name}` | {one['happened']} | {one['here']} |" for name, one in told().items()]
    return "\n".join(lines) + "\n"


def book_schema() -> str:
    """The JSON schema of a tariff book."""
    import json

    from tariff import schema

    return json.dumps(schema.book_schema(), ensure_ascii=False, indent=1) + "\n"


def handhelds() -> str:
    """The AsyncAPI document of the handhelds' messages."""
    import json

    from ingest.wire import handhelddoc

    return json.dumps(handhelddoc.document(), ensure_ascii=False, indent=1) + "\n"


def endpoints() -> str:
    """Every endpoint with who may use it."""
    from prewatt import http, ratelimit, roles
    from prewatt.console import app

    lines = [
        "# Endpoints",
        "",
        "Every address that the daemon answers, what it asks of whoever calls, and the roles.",
        "",
    ]
    lines += ["| method | path | right | roles |", "|---|---|---|---|"]
    lines += [f"| {how} | `{path}` | | {asks} |" for how, path, asks, _ in http.MACHINES]
    lines += ["| GET | `/static/...` | | nobody asked: the console's own files |"]
    for how, path, right in app.endpoints():
        who = ", ".join(role for role in roles.ROLES if role in roles.RIGHTS[right]) if right else "anybody"
        lines.append(f"| {how} | `{path}` | {f'`{right}`' if right else ''} | {who} |")
    lines += [
        "",
        "`POST /local/{action}` answers on the home's Unix socket (mode 0600) only: the command line's own way.",
        "",
    ]
    lines += ["## Roles", "", "| role | what for |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in roles.ROLES.items()]
    lines += ["", "## Requests a minute of one asker", "", "| kind | most |", "|---|---|"]
    lines += [f"| {kind} | {most} |" for kind, most in ratelimit.A_MINUTE.items()]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "endpoints.md": endpoints,
    "drivers.md": drivers,
    "pushes.md": pushes,
    "components.md": components,
    "policies.md": policies,
    "channels.md": channels,
    "payments.md": payments,
    "commands.md": commands,
    "settings.md": configuration,
    "tariff-book.schema.json": book_schema,
    "command-lifecycle.md": lifecycle,
    "ablations.md": ablations,
    "field-stories.md": stories,
    "handhelds.asyncapi.json": handhelds,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for page, write in PAGES.items():
        (FOLDER / page).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
