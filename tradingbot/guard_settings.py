"""The settings of the guard process: without the app whose models need Celery, and with connections that fail soon."""

from __future__ import annotations

from tradingbot.settings import *  # noqa: F403
from tradingbot.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "django_celery_beat"]
DATABASES["default"]["OPTIONS"] |= {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
