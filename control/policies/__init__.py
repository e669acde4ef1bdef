"""policies: one file per rule, each a pure function from a case to a verdict or none."""
