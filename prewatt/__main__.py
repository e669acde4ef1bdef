"""``python -m prewatt`` is ``prewatt``."""

from prewatt.cli import main

main()
