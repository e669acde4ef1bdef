"""Mutation testing of tariff/: places to break, and the bench on which the tests try what was broken."""
