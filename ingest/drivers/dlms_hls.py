"""The objects of ``dlms_generic`` behind HLS-GMAC and glo-ciphering, security suite 0: keys instead of a password."""

from ingest.model import CosemObject, DlmsDriver, Quantity
from ingest.wire.cosem import ClassId

DRIVER = DlmsDriver(
    name="dlms_hls",
    title="DLMS/COSEM meter with HLS-GMAC and ciphered services (IDIS package 2 security, suite 0)",
    objects=(
        CosemObject(Quantity.IDENTITY, ClassId.DATA, "0.0.96.1.0.255", says="Device ID 1, the maker's serial number."),
        CosemObject(Quantity.IMPORT, ClassId.REGISTER, "1.0.1.8.0.255", says="Active energy taken, all tariffs."),
        CosemObject(Quantity.POWER, ClassId.REGISTER, "1.0.1.7.0.255", says="Active power taken now, all phases."),
        CosemObject(Quantity.VOLTAGE, ClassId.REGISTER, "1.0.32.7.0.255", says="Voltage of phase 1 now."),
    ),
    authentication="hls-gmac",
    ciphering="glo",
    profile_columns=(Quantity.IMPORT,),
    disconnect_verified=True,
    proven="gurux-dlms 1.0.203 and dlms-cosem 21.3.2 as clients of the simulated meter; the Green Book's known answer",
    source="DLMS UA Green Book (security suite 0), IDIS package 2 object list",
    examples=(("c001c100030100010800ff0200", "c401c10006000012d4"),),
)
