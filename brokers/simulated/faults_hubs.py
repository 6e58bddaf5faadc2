"""What goes wrong between the venue and who listens to it or is logged in: hub switches, tokens that end."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from brokers.simulated.events import EventSwitches

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Status = Annotated[int, msgspec.Meta(ge=400, le=599)]


class HubFault(msgspec.Struct, tag="hubs", forbid_unknown_fields=True):
    """How the hubs behave from now on (`events.EventSwitches`); what is not named stays as it is."""

    lost: Share | UnsetType = UNSET
    duplicated: Share | UnsetType = UNSET
    reordered: Share | UnsetType = UNSET
    silent: bool | UnsetType = UNSET
    mute: bool | UnsetType = UNSET
    drop: Literal["user", "market", "both"] | UnsetType = UNSET
    logout: bool | UnsetType = UNSET
    refuse: Status | UnsetType | None = UNSET

    def apply(self, switches: EventSwitches) -> None:
        for name in self.__struct_fields__:
            if (value := getattr(self, name)) is not UNSET:
                setattr(switches, name, value)


class EndTokens(msgspec.Struct, tag="end_tokens", forbid_unknown_fields=True):
    """Every token that the venue has given is refused from now on; connections of the hubs go on."""
