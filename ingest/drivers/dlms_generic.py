"""Any IDIS-like single-phase DLMS/COSEM meter: active import, power, voltage, load profile 1 and disconnect control."""

from ingest.model import CosemObject, DlmsDriver, Quantity
from ingest.wire.cosem import ClassId

DRIVER = DlmsDriver(
    name="dlms_generic",
    title="DLMS/COSEM meter with load profile 1 and disconnect control (IDIS package 1 objects)",
    objects=(
        CosemObject(Quantity.IDENTITY, ClassId.DATA, "0.0.96.1.0.255", says="Device ID 1, the maker's serial number."),
        CosemObject(Quantity.IMPORT, ClassId.REGISTER, "1.0.1.8.0.255", says="Active energy taken, all tariffs."),
        CosemObject(Quantity.POWER, ClassId.REGISTER, "1.0.1.7.0.255", says="Active power taken now, all phases."),
        CosemObject(Quantity.VOLTAGE, ClassId.REGISTER, "1.0.32.7.0.255", says="Voltage of phase 1 now."),
    ),
    profile_columns=(Quantity.IMPORT,),
    disconnect_verified=True,
    proven="dlms-cosem 21.3.2 as client of the simulated meter; Green Book frames",
    source="DLMS UA Blue Book (classes 1, 3, 7, 8, 70), IDIS package 1 object list",
    examples=(("c001c100030100010800ff0200", "c401c10006000012d4"),),
)
