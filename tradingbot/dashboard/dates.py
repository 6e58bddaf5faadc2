"""Dates in addresses: 2026-11-18."""

from __future__ import annotations

from datetime import date


class DateConverter:
    """An ISO date; an impossible one (2026-02-30) is no address of ours."""

    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        return date.fromisoformat(value)

    def to_url(self, value: date | str) -> str:
        return str(value)
