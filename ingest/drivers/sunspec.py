"""Any SunSpec AC meter (models 201 to 204 and 211 to 214): found by its mark, read with its own scale factors."""

from ingest.model import SunSpecDriver

DRIVER = SunSpecDriver(
    name="sunspec",
    title="SunSpec AC meter (models 201-204, 211-214)",
    max_power_w=1_000_000,
    source="SunSpec models 1, 203 and 213 (JSON definitions, Apache-2.0)",
)
