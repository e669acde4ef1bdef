"""Published numbers: what a utility printed, and what our books give for it."""
