"""tariff: intervals and a dated book become charges, bills and their explanation; integers only, no clock, no I/O."""
