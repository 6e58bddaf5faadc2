"""Our supervisor over a worker that knows the probe, and over beat: `python -m tests.matrix.supervise`."""

from __future__ import annotations

import logging
import os
import sys

from tradingbot import settings
from tradingbot.supervisor import Child, Place, Supervisor, stack

WORKER, BEAT = "worker-critical", "beat"


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    place = Place(settings.ROOT, settings.VAR_DIR / "run", settings.VAR_DIR / "log", os.environ)
    children = [
        Child(WORKER, (sys.executable, "-m", "tests.matrix.probes", "-Q", "critical", "-c", "2"), place),
        Child(BEAT, (sys.executable, "-m", "tradingbot.processes.beat"), place),
    ]
    Supervisor(children, heartbeats=stack.ages, watched=frozenset({WORKER, BEAT})).run()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
    main()
