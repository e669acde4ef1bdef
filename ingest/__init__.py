"""ingest: bytes from meters, concentrators, handhelds and files become reads, intervals and findings."""
