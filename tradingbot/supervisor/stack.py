"""The whole system on this machine: what `manage.py up` and `manage.py demo` run."""

from __future__ import annotations

import http.client
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import close_old_connections, connections

from tradingbot import servers
from tradingbot.clock import clock
from tradingbot.supervisor import launching, logfiles, procfile
from tradingbot.supervisor.children import Child, Place
from tradingbot.supervisor.groups import MARK, end_leftovers, mark
from tradingbot.supervisor.instance import StartError, check_ports, single_instance
from tradingbot.supervisor.procfile import Command
from tradingbot.supervisor.supervisor import Supervisor

log = logging.getLogger(__name__)

LEFTOVER_SECONDS = 15.0  # more than one call to the venue takes
FOLLOWED = ("guard", "stream")  # they show life once they have an account to look after
APART = ("guard", "flower")
"""Programs of their own: guard must work where Celery or Redis cannot even be imported, Flower has nothing to share."""
PROBED = {"web": "/health", "venue": "/api/Status/ping", "flower": "/"}


def run(
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    on_ready: Callable[[], None] = lambda: None,
    on_tick: Callable[[], None] = lambda: None,
    before_stop: Callable[[], None] = lambda: None,
) -> None:
    """Start everything, keep it alive and stop it after Ctrl-C; the hooks are those of `Supervisor.run`.

    only, without   names of the Procfile; the venue runs for paper trading alone
    Market time of a rehearsal stands until every process has answered and `on_ready` returned. Raises StartError or
    servers.ServerError with one sentence.
    """
    var: Path = settings.VAR_DIR
    place = Place(settings.ROOT, var / "run", var / "log", _environment())
    commands = procfile.parse((settings.ROOT / "Procfile").read_text(), place.environment)
    names = _chosen(commands, only, without)
    with single_instance(place.run):
        _log_to(place.logs / "up.log")
        try:
            _keep_servers(var)
            if left := end_leftovers(place.run, seconds=LEFTOVER_SECONDS):
                log.info("ended what a killed start had left: %s", ", ".join(left))
            check_ports({variable: port for name, (variable, port) in _ports().items() if name in names})
            clock.reset()
            log.info("starting %s; logs are in %s", ", ".join(names), place.logs)
            os.environ[MARK] = mark(place.run)
            forked = [name for name in names if name not in APART]
            launches = dict.fromkeys(forked, launching.fork) if forked and launching.preload() else {}
            _release(commands.get(procfile.RELEASE, []), place)
            supervisor = Supervisor(
                [
                    Child(name, commands[name][0], place, _probe(name), launches.get(name, launching.execute))
                    for name in names
                ],
                heartbeats=ages,
                watched=frozenset(name for name in names if name == "beat" or name.startswith("worker-")),
                followed=frozenset(FOLLOWED),
                keep=partial(_keep_servers, var),
            )
            supervisor.run(partial(_begin, on_ready), _with_fresh_connections(on_tick), before_stop)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the rest takes a second and must be done
            connections.close_all()
            servers.stop(var)
            log.info("everything has stopped")


def _environment() -> dict[str, str]:
    """Return our environment with the programs of our Python first."""
    return {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}


def _chosen(commands: Mapping[str, list[Command]], only: Collection[str], without: Collection[str]) -> list[str]:
    names = [name for name in commands if name != procfile.RELEASE]
    for name in (*only, *without):
        if name not in names:
            raise StartError(f"no process is called {name!r}; there are {', '.join(names)}")
    if settings.TRADING_VENUE != "paper" and "venue" not in only:
        without = {*without, "venue"}
    return [name for name in names if name not in without and (not only or name in only)]


def _keep_servers(var: Path) -> None:
    """Start or adopt the servers that no URL names; begin anew if the settings were loaded with other addresses."""
    wanted = {"database": not os.environ.get("DATABASE_URL"), "redis": not os.environ.get("REDIS_URL")}
    if not any(wanted.values()):
        return
    urls = servers.start(var, **wanted)
    loaded = servers.Urls(settings.DATABASE_URL, settings.REDIS_URL)
    if (urls.database or loaded.database, urls.redis or loaded.redis) != (loaded.database, loaded.redis):
        log.info("servers are ready")
        sys.stdout.flush()
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606  the same command; its settings now find the servers


def _ports() -> dict[str, tuple[str, int]]:
    """Return the variable and the port of the processes that listen."""
    return {
        "web": ("PORT" if os.environ.get("PORT") else "WEB_PORT", settings.WEB_PORT),
        "venue": ("VENUE_PORT", settings.VENUE_PORT),
        "flower": ("FLOWER_PORT", settings.FLOWER_PORT),
    }


def _probe(name: str) -> Callable[[], bool] | None:
    """Return what asks a process over HTTP whether it answers, whatever it answers; None for the others."""
    if name not in PROBED:
        return None
    port, path = _ports()[name][1], PROBED[name]

    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status > 0
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return answers


def _release(commands: list[Command], place: Place) -> None:
    """Run the release line's commands in turn. Raises StartError with the last line of the first that fails."""
    file = place.logs / "release.log"
    logfiles.rotate(file)
    for command in commands:
        with logfiles.open_to_append(file) as output:
            done = subprocess.run(
                command,
                cwd=place.root,
                env=dict(place.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        if done.returncode:
            raise StartError(f"`{' '.join(command)}` failed: {logfiles.last_line(file)} (see {file})")


def ages() -> dict[str, float]:
    """Return the machine seconds since each name's last sign of life (`operations.heartbeats`, without its models)."""
    with psycopg.connect(settings.DATABASE_URL, connect_timeout=5, options="-c statement_timeout=5s") as connection:
        rows = connection.execute("SELECT name, extract(epoch FROM clock_timestamp() - at) FROM tradingbot_heartbeat")
        return {name: float(age) for name, age in rows}


def _with_fresh_connections(call: Callable[[], None]) -> Callable[[], None]:
    def fresh() -> None:
        close_old_connections()
        call()

    return fresh


def _begin(on_ready: Callable[[], None]) -> None:
    """Let market time run, after `on_ready` has done what must be done before its first second."""
    log.info("every process answers")
    on_ready()
    clock.start()


def _log_to(file: Path) -> None:
    """Keep what the supervisor says in a file as well; restarts must be there to read the next morning."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(file, maxBytes=logfiles.LIMIT, backupCount=logfiles.KEPT)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger("tradingbot.supervisor").addHandler(handler)
