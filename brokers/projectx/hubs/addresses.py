"""Where the hubs of a venue are: the firm serves REST at api.<firm> and the hubs at rtc.<firm>."""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit


def hub_url(base_url: str, hub: Literal["user", "market"], *, plain_http: bool = False) -> str:
    """Return the https:// (or http://) address of a hub for the REST address of its venue.

    plain_http   allow http:// beyond this machine, for a simulated venue in a private network
    Raises ValueError for an address over which a token would travel in the clear, or with anything but a path.
    """
    base = urlsplit(base_url)
    host = base.hostname or ""
    if base.scheme not in ("http", "https") or not host:
        raise ValueError(f"{host or 'the venue'}: the address must be an https:// URL")
    if base.username or base.query or base.fragment:
        raise ValueError(f"{host}: the address must not carry a user, a query or a fragment")
    if base.scheme == "http" and not plain_http and not _is_loopback(host):
        raise ValueError(f"{host}: http:// is for this machine only, use https://")
    place = base.netloc
    for api, hubs in (("api.", "rtc."), ("gateway-api-", "gateway-rtc-")):
        if place.startswith(api):
            place = hubs + place.removeprefix(api)
    return urlunsplit(SplitResult(base.scheme, place, f"{base.path.rstrip('/')}/hubs/{hub}", "", ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
