"""tariff: intervals and a dated book become charges, bills and their explanation; integers only, no clock, no I/O."""

# What other folders and scripts build on; everything else in here may change with the engine.
PUBLIC = (
    "tariff.book",
    "tariff.rating",
    "tariff.statement",
    "tariff.explain",
    "tariff.vend",
    "tariff.gas",
    "tariff.late_fee",
    "tariff.money",
    "tariff.records",
)
