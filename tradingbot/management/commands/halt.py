"""`manage.py halt`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tradingbot.management.stopping import StopCommand
from tradingbot.models import TradingState


class Command(StopCommand):
    help = "Let no new entry leave until `resume`; stops, targets and exits still work."
    example = 'halt "news at 14:00"'
    state = TradingState.HALTED
    by_default = "halted by hand"

    def handle(self, **options: Any) -> None:
        self.stop(options)

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_reason(parser)
