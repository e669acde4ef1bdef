"""wire: bytes go in, events come out and back: protocol codecs without any I/O."""
