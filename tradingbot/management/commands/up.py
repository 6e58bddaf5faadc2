"""All processes on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradingbot.servers import ServerError
from tradingbot.supervisor import stack
from tradingbot.supervisor.instance import StartError


class Command(BaseCommand):
    help = "Start every process of the Procfile, keep them alive, stop them cleanly after Ctrl-C."
    requires_system_checks = []  # the processes check themselves; the supervisor stays small

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="start these processes alone")
        parser.add_argument("--except", nargs="+", default=[], metavar="NAME", dest="without", help="leave these out")

    def handle(self, *, only: list[str], without: list[str], **options: Any) -> None:
        try:
            stack.run(only=only, without=without, on_ready=self._begin, before_stop=leave)
        except (StartError, ServerError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted while starting; nothing is left running", returncode=130) from None

    def _begin(self) -> None:
        connect = [sys.executable, "manage.py", "connect"]  # in a process of its own, for what it loads would stay here
        if subprocess.run(connect, cwd=settings.ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
            self.stderr.write("the venue could not be read, the workers go on trying")
        password = "ADMIN_PASSWORD" if os.environ.get("ADMIN_PASSWORD") else f"in {settings.VAR_DIR / 'admin_password'}"
        self.stdout.write(f"control panel  http://127.0.0.1:{settings.WEB_PORT}/admin/")
        self.stdout.write(f"login          {settings.ADMIN_NAME}, password: {password}")
        self.stdout.write(f"tasks          http://127.0.0.1:{settings.FLOWER_PORT}/")
        self.stdout.write("Ctrl-C stops everything cleanly")
        self.stdout.flush()


def leave() -> None:
    """Ask about open positions, as long as the workers are there to close them."""
    subprocess.run([sys.executable, "manage.py", "leave"], cwd=settings.ROOT, check=False)
