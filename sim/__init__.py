"""sim: meters, concentrators, handhelds, customers and faults from one seed, behind the real collectors."""
