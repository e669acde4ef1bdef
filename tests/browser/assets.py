"""A folder of unpacked npm packages goes in, the console's third-party files as they must be come out.

``python -m tests.browser.assets NODE_MODULES`` writes them and the lock; the test packs them again and compares.
"""

import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

STATIC = Path(__file__).resolve().parents[2] / "prewatt" / "console" / "static"
LOCK = STATIC / "assets.lock.json"
SOURCES = {
    "htmx.min.js": ("htmx.org", "dist/htmx.min.js"),
    "uPlot.iife.min.js": ("uplot", "dist/uPlot.iife.min.js"),
    "uPlot.min.css": ("uplot", "dist/uPlot.min.css"),
}
LICENCES = {"htmx.txt": "htmx.org", "uplot.txt": "uplot", "lucide.txt": "lucide-static"}


def lock() -> dict[str, Any]:
    """The committed lock: package -> version and hashes, and the icons of the sprite."""
    found: dict[str, Any] = json.loads(LOCK.read_text(encoding="utf-8"))
    return found


def packed(modules: Path, icons: list[str]) -> dict[str, bytes]:
    """Every third-party file by name."""
    found = {name: (modules / package / path).read_bytes() for name, (package, path) in SOURCES.items()}
    found["icons.svg"] = sprite(modules, icons).encode()
    found |= {f"licenses/{name}": (modules / package / "LICENSE").read_bytes() for name, package in LICENCES.items()}
    return found


def sprite(modules: Path, icons: list[str]) -> str:
    """One SVG file with a symbol for each icon."""
    lines = ['<svg xmlns="http://www.w3.org/2000/svg">']
    for icon in icons:
        text = (modules / "lucide-static" / "icons" / f"{icon}.svg").read_text(encoding="utf-8")
        inner = re.sub(r"\s*\n\s*", " ", re.sub(r".*?<svg[^>]*>|</svg>", "", text, flags=re.S)).strip()
        lines.append(f'<symbol id="{icon}" viewBox="0 0 24 24">{inner}</symbol>')
    return "\n".join([*lines, "</svg>\n"])


def main(modules: Path) -> None:
    """Write files and lock."""
    known = lock()
    for name, content in packed(modules, known["icons"]).items():
        (STATIC / name).write_bytes(content)
    for entry in known["packages"].values():
        entry["files"] = {name: sha256((STATIC / name).read_bytes()).hexdigest() for name in entry["files"]}
    LOCK.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
