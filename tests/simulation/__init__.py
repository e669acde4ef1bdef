"""Whole simulated days over real sockets and processes."""
