"""Random bytes against every decoder, off CI: ``python -m tests.fuzz --minutes 10``."""
