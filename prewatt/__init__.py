"""prewatt: meter reads become money every hour, and supply stays on or off by the rules.

In the wheel the five library folders live under ``prewatt/_lib`` so that names such as ``control`` never collide with
other distributions; importing ``prewatt`` puts that folder on the path. In a checkout they are plain packages.
"""

import sys
from pathlib import Path

__version__ = "0.1.0"

_LIBRARY = Path(__file__).parent / "_lib"
_FOLDERS = ("ingest", "tariff", "storage", "control", "sim")


def _use_nested_library() -> None:
    """Put ``prewatt/_lib`` first on the path, and refuse loudly if another package took one of our names before."""
    if not _LIBRARY.is_dir():
        return
    if str(_LIBRARY) not in sys.path:
        sys.path.insert(0, str(_LIBRARY))
    for name in _FOLDERS:
        module = sys.modules.get(name)
        where = getattr(module, "__file__", None) or ""
        if module is not None and not where.startswith(str(_LIBRARY)):
            raise ImportError(
                f"another package named {name!r} was imported before prewatt, from {where or 'an unknown place'}; "
                "try: import prewatt first, or run prewatt in an environment of its own"
            )


_use_nested_library()
