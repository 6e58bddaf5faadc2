"""What an account is to the firm, and what its name tells of it."""

from __future__ import annotations

import re
from enum import StrEnum


class Stage(StrEnum):
    """What an account is to the firm; the first three may be traded by programs."""

    PRACTICE = "practice"
    COMBINE = "combine"
    EXPRESS = "express"
    LIVE = "live"
    UNKNOWN = "unknown"


TRADED = frozenset({Stage.PRACTICE, Stage.COMBINE, Stage.EXPRESS})

_NAME = re.compile(r"^(?:(?P<size>50|100|150)K)?(?P<stage>TC|COMBINE|PRAC|XFA|EXPRESS|LFA|LIVE)", re.IGNORECASE)
_STAGES = {
    "TC": Stage.COMBINE,
    "COMBINE": Stage.COMBINE,
    "PRAC": Stage.PRACTICE,
    "XFA": Stage.EXPRESS,
    "EXPRESS": Stage.EXPRESS,
    "LFA": Stage.LIVE,
    "LIVE": Stage.LIVE,
}
_PRACTICE_SIZE = 150  # practice accounts carry no size in their name


def infer(name: str) -> tuple[Stage, int | None, bool]:
    """Return stage, size in thousands (None if it is not told) and whether the Daily Loss Limit was chosen.

    From names like 50KTC-V2-DLL-123, PRAC-V2-123, EXPRESS-V2-123. The API has no field for any of it.
    """
    match = _NAME.match(name.strip())
    if match is None:
        return Stage.UNKNOWN, None, False
    stage = _STAGES[match["stage"].upper()]
    told = re.search(r"(?<!\d)(50|100|150)K", name, re.IGNORECASE)
    size = int(told[1]) if told else None
    if stage is Stage.PRACTICE and size is None:
        size = _PRACTICE_SIZE
    return stage, size, bool(re.search(r"\bDLL\b", name, re.IGNORECASE))
