"""`manage.py demo`: a whole trading day on the simulated venue, told line by line."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.text import Text

from brokers.base import BrokerError
from market.sessions import NEW_YORK, flat_by, regular_session, trade_date_of
from tradingbot import clock
from tradingbot.management import leaving, rehearsals
from tradingbot.operations import calendar, setup
from tradingbot.operations.setup import ADMIN
from tradingbot.operations.story import Line, Story
from tradingbot.servers import ServerError
from tradingbot.supervisor import stack
from tradingbot.supervisor.instance import StartError

_NEW_YORK = ZoneInfo(NEW_YORK)
_STYLES = {"good": "green", "bad": "bold red", "quiet": "dim", "info": ""}
_LOOK = 0.5  # machine seconds between two looks at the rows
_SETTLE = 1.5  # machine seconds a line waits for earlier ones: a fill is booked after its stop was seen
_WHAT_WILL_HAPPEN = """
What will happen: at 09:30 the overnight range is captured; a buy stop above it and a sell stop below it go to the
simulated venue, each with its stop loss and target. The first that fills cancels the other; after 15 points of profit
the stop moves to the entry; what is open at {flat} is closed. Nobody touches it. Times are New York's.
"""


class Command(BaseCommand):
    help = "Rehearse a whole trading day: every process, the simulated venue, a fast clock. Touches nothing of yours."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--speed", type=float, default=30.0, help="market seconds a second, at most 30")
        parser.add_argument(
            "--day", type=_day, metavar="YYYY-MM-DD", help="trading day; default the newest that shows a trade"
        )
        parser.add_argument(
            "--replay", type=_replay, metavar="[SYMBOL=]FILE", help="trade at the prices of a CSV of 1-minute bars"
        )
        parser.add_argument("--seed", type=int, default=settings.VENUE_SEED, help="of the generated market")

    def handle(self, *, speed: float, day: date | None, replay: tuple[str, Path] | None, seed: int, **_: Any) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        try:
            if rehearsals.running():
                self._run()
            else:
                self._prepare(speed, day, replay, seed)
        except (StartError, ServerError, ValueError) as error:
            raise CommandError(str(error)) from error
        except BrokerError as error:
            raise CommandError(f"the venue could not be read: {error}") from error
        except KeyboardInterrupt:
            raise CommandError("interrupted while starting; nothing is left running", returncode=130) from None

    def _prepare(self, speed: float, day: date | None, replay: tuple[str, Path] | None, seed: int) -> None:
        """Empty the rehearsal's folder and begin again as the process that runs it: its settings are other ones."""
        symbol, bars = replay or ("MNQ", None)
        session = rehearsals.session_of(day, today=trade_date_of(clock.now()), seed=seed, bars=bars, symbol=symbol)
        rehearsal = rehearsals.Rehearsal(session, speed, seed, symbol, bars)
        var = settings.VAR_DIR / "demo"
        environment = rehearsal.environment(os.environ, var)
        self._say(f"Preparing {session.trade_date:%A, %d %B %Y} in {var} …", style="dim")
        rehearsals.begin_anew(var)
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606  this command again

    def _run(self) -> None:
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.WARNING)  # the story is what is to be read here; var/demo/log has the rest
        self._story: Story | None = Story(clock.now())
        self._waiting: list[tuple[float, Line]] = []
        self._looked = 0.0
        stack.run(on_ready=self._begin, on_tick=self._tell, before_stop=self._leave)
        self._say("Everything has stopped.")

    def _leave(self) -> None:
        leaving.offer_flatten(self._say)
        self._say("\nStopping every process; Ctrl-C ends them at once …")

    def _begin(self) -> None:
        self._greet()
        with self._console.status("Reading accounts, contracts and bars from the venue …") as status:
            setup.connect_at_start(now=clock.now, progress=lambda line: status.update(Text(line)))

    def _greet(self) -> None:
        day = date.fromisoformat(os.environ[rehearsals.MARK])
        session = calendar.session_for(day) or regular_session(day)
        flower = settings.FLOWER_BASIC_AUTH.replace(":", " / ", 1)
        flat = f"{flat_by(session).astimezone(_NEW_YORK):%H:%M}"
        title = f"{session.trade_date:%A, %d %B %Y}, from 09:20 New York at {clock.speed:g} times the speed"
        self._say(f"\n{title}", style="bold")
        self._say(f"  control panel  http://127.0.0.1:{settings.WEB_PORT}/admin/  {ADMIN} / {settings.ADMIN_PASSWORD}")
        self._say(f"  tasks          http://127.0.0.1:{settings.FLOWER_PORT}/  {flower}")
        self._say(_WHAT_WILL_HAPPEN.format(flat=flat))

    def _tell(self) -> None:
        if self._story is None or time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        self._waiting += [(self._looked, line) for line in self._story.lines()]
        settled = [line for seen, line in self._waiting if seen <= self._looked - _SETTLE]
        due = max((line.at for line in settled), default=None)
        ready = [line for _, line in self._waiting if due is not None and line.at <= due]
        self._waiting = [(seen, line) for seen, line in self._waiting if line not in ready]
        for line in sorted(ready, key=lambda line: line.at):
            self._print(line)
            if line.is_end:
                self._story = None
                self._say("")
                self._say(
                    "The day is told. Everything keeps running: look around in the control panel; Ctrl-C stops it, "
                    "`make demo` begins a new day."
                )
                return

    def _print(self, line: Line) -> None:
        at = f"{line.at.astimezone(_NEW_YORK):%H:%M:%S}"
        self._console.print(Text(f"{at}  ", style="cyan"), Text(line.text, style=_STYLES[line.mood]), sep="")

    def _say(self, text: str, *, style: str = "") -> None:
        self._console.print(Text(text, style=style))  # as it is: brackets of a password are no markup


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date: write it as 2026-11-18") from error


def _replay(text: str) -> tuple[str, Path]:
    symbol, separator, file = text.rpartition("=")
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{path} is not a file: write [SYMBOL=]FILE, for example MNQ=bars.csv.gz")
    return (symbol.strip().upper() if separator else "MNQ"), path
