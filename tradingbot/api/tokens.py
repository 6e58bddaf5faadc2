"""A token for name and password."""

from __future__ import annotations

from rest_framework.authtoken.views import ObtainAuthToken
from rest_framework.throttling import ScopedRateThrottle


class TokenView(ObtainAuthToken):
    """A token for name and password. Few tries a minute from one address, counted in Redis for every web process."""

    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "token"
