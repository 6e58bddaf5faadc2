"""What a check returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `bad` is broken, `warn` is worth knowing."""

    name: str
    verdict: Verdict
    sentence: str
