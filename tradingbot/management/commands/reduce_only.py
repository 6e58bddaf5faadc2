"""`manage.py reduce_only`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tradingbot.management.stopping import StopCommand
from tradingbot.models import TradingState


class Command(StopCommand):
    help = "Let no new entry leave while strategies and people go on closing; ends with `resume`."
    example = 'reduce_only --all "thin market"'
    state = TradingState.REDUCE_ONLY
    by_default = "set by hand"

    def handle(self, **options: Any) -> None:
        self.stop(options)

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_reason(parser)
