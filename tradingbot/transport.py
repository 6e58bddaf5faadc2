"""How every Celery process speaks with Redis: no call may hang, and what waits unacknowledged is not redelivered soon.

Apart from the application, because a process that only watches (Flower) needs neither Django's models nor our tasks.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")

from django.conf import settings

SETTINGS: dict[str, Any] = {
    "broker_url": settings.REDIS_URL,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {
        "visibility_timeout": 600,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    "redis_socket_timeout": 5,
    "redis_socket_connect_timeout": 2,
    "redis_socket_keepalive": True,
    "accept_content": ["json"],
    "timezone": "UTC",
    "enable_utc": True,
}
