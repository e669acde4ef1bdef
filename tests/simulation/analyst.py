"""A catalog goes in, one line for each look at it comes out: the second process that queries while the daemon writes.

``python -m tests.simulation.analyst CATALOG`` looks again and again, on a new connection each time, until standard
input closes; each line is JSON with what the views say together.
"""

import json
import select
import sys

import duckdb

QUERY = """
SELECT (SELECT count(*) FROM reads), (SELECT count(*) FROM (SELECT DISTINCT meter_id, channel, "end" FROM reads)),
       (SELECT count(*) FROM intervals WHERE channel = 1), (SELECT count(*) FROM charges),
       (SELECT coalesce(sum(energy_wh), 0) FROM intervals WHERE channel = 1),
       (SELECT coalesce(sum(energy_wh), 0) FROM charges),
       (SELECT count(*) FROM ledger), (SELECT coalesce(sum(amount), 0) FROM ledger)
"""
NAMES = ("reads", "slots", "intervals", "charges", "used_wh", "charged_wh", "postings", "ledger_sum")


def main(catalog: str) -> None:
    """Look until told to stop."""
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        with duckdb.connect(catalog, read_only=True) as link:
            row = link.execute(QUERY).fetchone()
        assert row is not None
        print(json.dumps(dict(zip(NAMES, map(int, row), strict=True))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
