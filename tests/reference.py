"""Write docs/reference from the code's own words: `python -m tests.reference`; the tidy test compares."""

import ast
from collections.abc import Callable
from pathlib import Path

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
    """Every meter driver."""
    return plugins(
        "ingest/drivers",
        "Meter drivers",
        "One file per meter model in `ingest/drivers/`, with its example frames; `prewatt meters profiles` lists them.",
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


PAGES: dict[str, Callable[[], str]] = {
    "drivers.md": drivers,
    "components.md": components,
    "policies.md": policies,
    "channels.md": channels,
    "payments.md": payments,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for page, write in PAGES.items():
        (FOLDER / page).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
