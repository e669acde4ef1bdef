"""files: bytes of a delivered file become rows and refusals by line; one file per format, one FORMAT each."""
