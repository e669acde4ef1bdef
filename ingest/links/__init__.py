"""links: gateways and meter points go in, polls, relay reports and outcomes come out; the only I/O of ingest."""
