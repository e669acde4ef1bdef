"""storms: many accounts at once, as ``python -m benchmarks.storms`` runs them at full size."""
