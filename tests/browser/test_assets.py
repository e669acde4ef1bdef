"""The committed third-party files are those of the packages that the lock names, packed again from npm."""

import json
from hashlib import sha256

import pytest

from tests.browser import assets
from tests.browser.conftest import MODULES

pytestmark = pytest.mark.browser


def test_packing_again_gives_the_same_files() -> None:
    known = assets.lock()
    missing = [name for name in known["packages"] if not (MODULES / name / "package.json").is_file()]
    if missing:
        pytest.skip(f"no chromium set-up: {missing} are not in {MODULES} (.ci/run installs them)")
    for name, entry in known["packages"].items():
        found = json.loads((MODULES / name / "package.json").read_text(encoding="utf-8"))
        assert found["version"] == entry["version"]
    packed = assets.packed(MODULES, known["icons"])
    for entry in known["packages"].values():
        for name, digest in entry["files"].items():
            assert sha256(packed[name]).hexdigest() == digest, name
    for name, content in packed.items():
        assert (assets.STATIC / name).read_bytes() == content, name
