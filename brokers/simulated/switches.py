"""What nobody documents of the real venue, changed by name: when the venue starts, or while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

import msgspec

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.events import EventSwitches

T = TypeVar("T", Behaviour, EventSwitches)

_FOR_GOOD = {"segments"}
"""What only the start of a venue decides."""
NAMES = tuple(sorted({f.name for kind in (Behaviour, EventSwitches) for f in fields(kind)} - _FOR_GOOD))


class Switch(msgspec.Struct, tag="switch", forbid_unknown_fields=True):
    """The venue behaves otherwise from now on; `values` by the names of `Behaviour` and `EventSwitches`."""

    values: dict[str, Any]


class Switchboard:
    """The switches of one venue, and how they stood when it started."""

    def __init__(self, behaviour: Behaviour, events: EventSwitches) -> None:
        self._behaviour = behaviour
        self._events = events
        self._usual = (replace(behaviour), replace(events))

    def turn(self, values: Mapping[str, Any]) -> None:
        """Set switches by name; text is read as what it stands for. Raises ValueError, and nothing has changed."""
        if unknown := sorted(values.keys() - set(NAMES)):
            raise ValueError(f"unknown switches {', '.join(unknown)}: there are {', '.join(NAMES)}")
        behaviour, events = _checked(self._behaviour, values), _checked(self._events, values)
        _set(self._behaviour, behaviour)
        _set(self._events, events)

    def reset(self) -> None:
        """Let the venue behave as it did when it started."""
        _set(self._behaviour, self._usual[0])
        _set(self._events, self._usual[1])

    def report(self) -> list[dict[str, Any]]:
        """Return what is not as it was at the start, in the shape of faults."""
        behaviour, events = _changed(self._usual[0], self._behaviour), _changed(self._usual[1], self._events)
        found: list[dict[str, Any]] = [{"type": "switch", "values": behaviour}] if behaviour else []
        return found + ([{"type": "hubs"} | events] if events else [])


def typed(pairs: Sequence[str]) -> dict[str, str]:
    """Return what NAME=VALUE pairs say. Raises ValueError for another form."""
    if wrong := [pair for pair in pairs if not pair.partition("=")[2]]:
        raise ValueError(f"switch {wrong[0]!r}: write NAME=VALUE, for example bars_order=oldest")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _checked(now: T, values: Mapping[str, Any]) -> T:
    """Return a copy of `now` with those of `values` that it has."""
    try:
        return msgspec.convert(asdict(now) | dict(values), type(now), strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _set(now: T, wanted: T) -> None:
    for field in fields(wanted):
        setattr(now, field.name, getattr(wanted, field.name))


def _changed(usual: T, now: T) -> dict[str, Any]:
    before = asdict(usual)
    return {name: value for name, value in asdict(now).items() if value != before[name]}
