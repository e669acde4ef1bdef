"""The demo: a town behind real sockets, the daemon itself, one story told once, figures measured."""
