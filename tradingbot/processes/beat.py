"""`python -m tradingbot.processes.beat`: the ticks; a second one only stands by."""

from __future__ import annotations

from tradingbot.celery_app import app


def main() -> None:
    app.conf.imports = ()  # it publishes by name
    app.Beat(quiet=True).run()


if __name__ == "__main__":
    main()
