"""What the hubs tell and how it may go wrong on the way: switches that anybody may set while the venue runs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

Event = tuple[str, dict[str, Any]]
"""Target and the sparse model of what changed."""

ACCOUNT, ORDER, POSITION, TRADE = "GatewayUserAccount", "GatewayUserOrder", "GatewayUserPosition", "GatewayUserTrade"


@dataclass(slots=True, kw_only=True)
class EventSwitches:
    """How the hubs behave; read at every event, so a change takes effect at once. Shares are from 0 to 1.

    lost         share of user events that never leave
    duplicated   share of user events that leave twice
    reordered    share of user events that are held back until later ones have left, half a second at most
    silent       no event leaves and none is sent later; subscriptions are confirmed and pings go on
    mute         not even pings leave: the connections look alive and are dead
    drop         connections of this hub are cut once, without a word; the switch then falls back
    logout       every connection gets a GatewayLogout and a close once; the switch then falls back
    refuse       status for every new connection, None accepts
    form         user events as seen at the real venue, or as its documentation shows them
    second_login whether another connection to the same hub by the same user ends the first
    bad_token    what a bad token gets at negotiate and upgrade
    depth        whether depth is sent to its subscribers
    """

    lost: float = 0.0
    duplicated: float = 0.0
    reordered: float = 0.0
    silent: bool = False
    mute: bool = False
    drop: Literal["", "user", "market", "both"] = ""
    logout: bool = False
    refuse: int | None = None
    form: Literal["wrapped", "bare"] = "wrapped"
    second_login: Literal["kept", "evicted"] = "kept"
    bad_token: Literal[401, 403] = 401
    depth: bool = True


class Disorder:
    """Loses, repeats and reorders user events as the switches say; the seed makes it the same each time."""

    def __init__(self, switches: EventSwitches, seed: int = 0) -> None:
        self._switches = switches
        self._random = random.Random(seed)
        self._held: list[Event] = []

    def pass_on(self, events: list[Event]) -> list[Event]:
        """Return what leaves now of `events` and of what was held back before."""
        if not (self._held or self._switches.lost or self._switches.duplicated or self._switches.reordered):
            return events
        leaving: list[Event] = []
        held: list[Event] = []
        for event in events:
            if self._chance(self._switches.lost):
                continue
            for copy in [event, event] if self._chance(self._switches.duplicated) else [event]:
                (held if self._chance(self._switches.reordered) else leaving).append(copy)
        leaving += self.release()
        self._held = held
        return leaving

    def release(self) -> list[Event]:
        """Return what is held back, in any order."""
        held, self._held = self._held, []
        self._random.shuffle(held)
        return held

    def _chance(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


def arguments(event: Event, switches: EventSwitches) -> list[dict[str, Any]]:
    """Return the arguments of a user event: the model in its wrapper, or bare."""
    target, model = event
    return [{"action": _action(target, model), "data": model} if switches.form == "wrapped" else model]


def account_of(event: Event) -> int:
    """Return the account that an event is about."""
    target, model = event
    return int(model["id"] if target == ACCOUNT else model["accountId"])


def _action(target: str, model: dict[str, Any]) -> int:
    """Return the code as seen: 0 a new trade, 2 a position that went flat, 1 everything else."""
    if target == TRADE:
        return 0
    return 2 if target == POSITION and not model["size"] else 1
