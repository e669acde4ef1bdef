"""Paths of delivered files go in, their intervals are stored; the report of what was refused or missing comes out."""

import asyncio
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ingest.deliveries import ReadOptions, formats
from prewatt.errors import Usage
from prewatt.strict import suggest
from prewatt.wiring import Shell
from storage.imports import ImportReport, import_files


async def take(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Import ``files`` (absolute paths); ``format`` and ``options`` say what the files do not say themselves."""
    paths = [Path(name) for name in args["files"]]
    for path in paths:
        if not path.is_file():
            raise Usage("no such file", which=str(path))
    kind = str(args.get("format") or "")
    if kind and kind not in formats():
        raise Usage(f"no file format {kind!r}", attempt=suggest(kind, formats()))
    known = {f.name for f in fields(ReadOptions)}
    options = ReadOptions(**{key: value for key, value in dict(args.get("options") or {}).items() if key in known})
    report = await asyncio.to_thread(
        import_files,
        shell.store,
        paths,
        shell.clock.now(),
        options=options,
        format=kind,
        progress=shell.progress,
    )
    return as_json(report)


def as_json(report: ImportReport) -> dict[str, Any]:
    """The report as scripts read it."""
    return {
        "files": report.files,
        "rows": report.rows,
        "accepted": report.accepted,
        "new": report.new,
        "duplicate": report.duplicate,
        "conflict": report.conflict,
        "missing": report.missing,
        "rounded": report.rounded,
        "exported": report.exported,
        "refused_count": report.refused_count,
        "refused": report.refused,
        "gaps": report.gaps,
        "meters": report.meters,
        "findings": [{"code": f.code, "at": f.at, "meter": f.meter, "detail": f.detail} for f in report.findings],
    }


ACTIONS = {"reads.import": take}
