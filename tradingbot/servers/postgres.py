"""Our PostgreSQL: the wheel's initdb, pg_ctl and postgres, driven directly."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import psutil
import psycopg

from tradingbot.servers import record
from tradingbot.servers.owner import owner_of
from tradingbot.servers.processes import open_log, running, tail, wait_until
from tradingbot.servers.record import Server, ServerError

NAME = "tradingbot"  # of the role and of the database
READY_SECONDS = 60  # recovery after a crash included

# No I/O workers, no replication launcher: fewer processes. mmap, because systemd removes the POSIX shared memory of a
# user who logs out. A small cache: the tables are small and the system caches files as well.
CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
io_method = sync
max_logical_replication_workers = 0
max_parallel_workers_per_gather = 0
jit = off
synchronous_commit = on
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_checkpoints = off
"""


class Postgres:
    """The server of one `var`."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.owner = owner_of(var)
        self.data = self.owner.data
        self.log = open_log(var / "log" / "postgres.log")

    def start(self) -> str:
        """Adopt the running server or start one; return its address. Raises ServerError."""
        known = record.load(self.var).get("postgres")
        self._link()
        if known is None:
            self.stop()  # the record is lost, and with it the password
        elif self._running():  # or starts, or is being killed
            wait_until(lambda: self._answers(known.url) or not self._running(), READY_SECONDS)
            if self._answers(known.url):
                return self._record(known.url, known.port)
            if self._running():
                raise ServerError(f"PostgreSQL in {self.data} runs but does not answer: see {self.log}")
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a killed server, or its number is another's now
        password = known.url.split(":")[2].split("@")[0] if known else secrets.token_urlsafe(24)
        port = record.free_port(known.port if known else 0)
        if self.data.exists():
            self._configure(port)
            if known is None:
                self._set_password(password)
        else:
            self._create(password)
            self._configure(port)
        url = f"postgres://{NAME}:{password}@127.0.0.1:{port}/{NAME}"
        record.save(self.var, "postgres", Server(url, 0, port, str(self.data)))
        # The children of a killed postmaster hold its memory for a moment: a start is refused until they are gone.
        if not wait_until(lambda: self._launch() or "pre-existing shared memory" not in tail(self.log), 10):
            raise ServerError(f"the processes of a killed PostgreSQL in {self.data} do not end: see {self.log}")
        if not self._running():
            raise ServerError(f"PostgreSQL does not start: {tail(self.log)} (see {self.log})")
        self._ensure_database(url)
        return self._record(url, port)

    def stop(self) -> None:
        """Stop the server if it runs: open transactions are rolled back, data is written out."""
        if not self._running():
            return
        for mode in ("fast", "immediate"):
            self.owner.run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-t", "30", "-s", log=self.log)
            if not self._running():
                return
        raise ServerError(f"PostgreSQL in {self.data} does not stop: see {self.log}")

    def _running(self) -> psutil.Process | None:
        return running(self.data / "postmaster.pid", "postgres")

    def _record(self, url: str, port: int) -> str:
        process = self._running()
        record.save(self.var, "postgres", Server(url, process.pid if process else 0, port, str(self.data)))
        return url

    def _answers(self, url: str) -> bool:
        """Whether the server behind `url` takes our password and works on our data folder."""
        try:
            with psycopg.connect(url, connect_timeout=5, require_auth="scram-sha-256") as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.data.resolve()

    def _link(self) -> None:
        """As root: tie `<var>/postgres` to the data. No link: `var` is new, the data is of a removed one."""
        link = self.var / "postgres"
        if self.owner.user is None or link.is_symlink():
            return
        if self.data.exists():
            self.stop()
            retired = self.data.with_name("postgres.old")
            shutil.rmtree(retired, ignore_errors=True)
            self.data.rename(retired)
        link.symlink_to(self.data)

    def _create(self, password: str) -> None:
        """Make the data folder beside its place, so that a killed start leaves none behind."""
        new, secret = self.data.with_name("postgres.new"), self.data.with_name("postgres.password")
        shutil.rmtree(new, ignore_errors=True)
        record.write_private(secret, password)
        self.owner.give(secret)
        made = self.owner.run(
            "initdb", "-D", str(new), "-U", NAME, f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", log=self.log,
        )  # fmt: skip
        secret.unlink()
        if not made:
            raise ServerError(f"PostgreSQL's data folder cannot be made: {tail(self.log)} (see {self.log})")
        with (new / "postgresql.conf").open("a") as file:
            file.write("\ninclude 'tradingbot.conf'\n")
        new.rename(self.data)

    def _configure(self, port: int) -> None:
        (self.data / "tradingbot.conf").write_text(CONFIGURATION.format(port=port))

    def _set_password(self, password: str) -> None:
        """Give the role its password anew in single-user mode, for a folder whose record is lost."""
        statement = f"ALTER ROLE {NAME} PASSWORD '{password}'\n"
        if not self.owner.run("postgres", "--single", "-D", str(self.data), "template1", log=self.log, text=statement):
            raise ServerError(f"PostgreSQL's data in {self.data} cannot be opened: {tail(self.log)} (see {self.log})")

    def _launch(self) -> bool:
        return self.owner.run(
            "pg_ctl", "start", "-D", str(self.data), "-w", "-t", str(READY_SECONDS), "-s", log=self.log
        )

    def _ensure_database(self, url: str) -> None:
        with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,)).fetchone():
                connection.execute(f"CREATE DATABASE {NAME}".encode())
