"""Landis+Gyr E450 in Switzerland, ciphered: codes and bare values in pairs go in; 1 Wh and 1 W come out."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="landisgyr_pairs",
    title="Landis+Gyr E450, ciphered lists of codes and values",
    shape="pairs",
    zone="Europe/Zurich",
    titles=("LGZ",),
    exponents={"Wh": 0, "W": 0, "V": 0, "A": -2, "Hz": 0},
    examples=(
        PushExample(
            frame=(
                "7ea0a7ceff03134ff6e6e700db084c475a6773000021818e3000000007e96bc7d59a237df15f03b72450c148557074f1"
                "a140dc3b12475c5235844d14a2e2f755e14096a06cc3995bc0347ce4070a47bb57e4152d793aa838a644cd1143d1989b"
                "6f840d28a5ef92e664c9b0bd35b9843a2c01119b5ddcdb8aae7f37b6aad5932f8c3d3a311e10f2d97a4eea974d2163a2"
                "d8d1db00e3d1fcf622824de660fd785f9a77ee2cc8af84ff7e"
            ),
            values={
                "1.0.1.8.0.255": ("4408736", "Wh"),
                "1.0.1.8.2.255": ("814817", "Wh"),
                "1.0.1.7.0.255": ("2893", "W"),
                "1.0.3.8.0.255": ("1591784", "varh"),
            },
            at="2026-07-14T10:00:10",
            source="made here, ciphered with the Green Book's example keys",
        ),
    ),
    proven="captured ciphered pushes in blocks, opened with their keys, read alike by an independent decoder",
    source="public captures",
)
