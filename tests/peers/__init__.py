"""Scripts that run in an environment of their own, where independent protocol implementations are installed."""
