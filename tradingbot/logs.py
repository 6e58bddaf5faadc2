"""One line an event, stamped with market time: `18 Nov 09:30:02 ET INFO orders  sent tb-… `."""

from __future__ import annotations

import logging
from zoneinfo import ZoneInfo

from tradingbot.clock import now

_NEW_YORK = ZoneInfo("America/New_York")


class Formatter(logging.Formatter):
    """Market time in New York, level, the module's last name, message."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        line = (
            f"{now().astimezone(_NEW_YORK):%d %b %H:%M:%S} ET {record.levelname:<7} "
            f"{record.name.rsplit('.', 1)[-1]:<14} {record.message}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line
