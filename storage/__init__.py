"""storage: the one commit point (SQLite), the Parquet lake, the analysts' catalog, the ledger."""
