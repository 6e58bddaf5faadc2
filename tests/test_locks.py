"""The locks install on a machine that has nothing, also after a pinned package has had a newer release."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def test_every_extra_that_a_package_asks_for_is_named_in_the_lock():
    """pip with hashes takes `name[extra]` for unpinned when the lock pins `name` alone and a newer one is out."""
    pins = re.findall(r"^([^\s=]+(?:\[[^]]+\])?)==", (REQUIREMENTS / "dev.txt").read_text(), re.MULTILINE)
    locked = {canonicalize_name(pin.name): pin.extras for pin in map(Requirement, pins)}
    asked = [Requirement(text) for one in distributions() for text in one.requires or ()]
    missing = {
        str(one)
        for one in asked
        if one.extras and (one.marker is None or one.marker.evaluate({"extra": ""}))
        if not one.extras <= locked.get(canonicalize_name(one.name), one.extras)
    }
    assert missing == set()
