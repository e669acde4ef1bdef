"""stories: what went wrong in the field, each a file of ``sim/scenarios/field``, replayed on the engine."""
