from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TradingbotConfig(AppConfig):
    name = "tradingbot"
    verbose_name = "Trading"

    def ready(self) -> None:
        post_migrate.connect(_overall_state, sender=self)


def _overall_state(using: str, **_: Any) -> None:
    """Write the row that every entry asks for; one that is there stays as it is."""
    from tradingbot.models import OverallState

    OverallState.objects.using(using).get_or_create(pk=1)
