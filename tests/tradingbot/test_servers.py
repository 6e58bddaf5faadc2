"""The embedded servers, started for real: each test has a folder of its own and leaves no process behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tradingbot import servers
from tradingbot.servers import record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var with space"
    for folder in tmp_path.iterdir():
        servers.stop(folder)
        link = folder / "postgres"
        if link.is_symlink():  # as root the data lies elsewhere
            shutil.rmtree(link.readlink().parent)


def pids(var: Path) -> dict[str, int]:
    return {name: server.pid for name, server in record.load(var).items()}


def store(urls: servers.Urls, text: str) -> None:
    with psycopg.connect(urls.database) as connection:
        connection.execute("CREATE TABLE kept (text text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [text])
    with redis.Redis.from_url(urls.redis) as client:
        client.set("kept", text)
        client.execute_command("WAITAOF", 1, 0, 5000)  # written to disk, as after a second of running


def stored(urls: servers.Urls) -> tuple[str, str]:
    with psycopg.connect(urls.database) as connection:
        row = connection.execute("SELECT text FROM kept").fetchone()
    assert row
    with redis.Redis.from_url(urls.redis, decode_responses=True) as client:
        return row[0], str(client.get("kept"))


def kill(*numbers: int) -> None:
    servers_ = [psutil.Process(number) for number in numbers]
    for process in [*servers_, *(child for server in servers_ for child in server.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess):  # a backend ends by itself
            process.send_signal(signal.SIGKILL)


def test_start_from_nothing_gives_two_private_servers_and_a_second_start_adopts_them(var):
    urls = servers.start(var)
    first = pids(var)
    assert servers.urls(var) == urls
    assert stat.S_IMODE((var / "servers.json").stat().st_mode) == 0o600
    for server in record.load(var).values():
        listening = {c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        password = server.url.split(":")[2].split("@")[0]
        assert password not in " ".join(psutil.Process(server.pid).cmdline())
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(urls.database.replace(urls.database.split(":")[2].split("@")[0], "wrong"))
    stranger = redis.Redis.from_url(urls.redis.replace(":" + urls.redis.split(":")[2].split("@")[0], ""))
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(urls.redis, decode_responses=True) as client:
        assert client.config_get("appendonly", "maxmemory-policy", "appendfsync") == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "appendfsync": "everysec",
        }
    assert (servers.start(var), pids(var)) == (urls, first)


def test_stop_leaves_no_process_and_the_data_is_there_after_the_next_start(var):
    urls = servers.start(var)
    store(urls, "a")
    before = [psutil.Process(pid) for pid in pids(var).values()]
    servers.stop(var)
    _, alive = psutil.wait_procs(before, timeout=5)  # PostgreSQL says goodbye a moment before its process ends
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    assert servers.start(var) == urls
    assert stored(urls) == ("a", "a")


def test_start_after_everything_was_killed_finds_the_data(var):
    urls = servers.start(var)
    store(urls, "b")
    kill(*pids(var).values())
    assert servers.start(var) == urls
    assert stored(urls) == ("b", "b")


def test_start_waits_for_the_children_of_a_killed_postmaster(var):
    urls = servers.start(var, redis=False)
    children = []
    for child in psutil.Process(pids(var)["postgres"]).children():
        with suppress(psutil.NoSuchProcess):  # a vacuum worker comes and goes
            child.suspend()  # it cannot notice the death of its parent
            children.append(child)
    assert children
    psutil.Process(pids(var)["postgres"]).send_signal(signal.SIGKILL)
    starting = subprocess.Popen([sys.executable, "-c", START, str(var)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    log = var / "log" / "postgres.log"
    while "pre-existing shared memory block" not in log.read_text():
        assert starting.poll() is None
    for child in children:
        child.resume()
    assert starting.communicate(timeout=60)[0].split()[0] == urls.database


def test_another_program_on_the_recorded_ports_moves_the_servers(var):
    urls = servers.start(var)
    store(urls, "c")
    servers.stop(var)
    taken = [server.port for server in record.load(var).values()]
    strangers = [socket.create_server(("127.0.0.1", port)) for port in taken]
    try:
        moved = servers.start(var)
        assert not set(taken) & {server.port for server in record.load(var).values()}
        assert stored(moved) == ("c", "c")
    finally:
        for stranger in strangers:
            stranger.close()


def test_a_lost_record_costs_new_passwords_but_no_data(var):
    urls = servers.start(var)
    store(urls, "d")
    (var / "servers.json").write_text("{")
    assert servers.urls(var) == servers.Urls()
    again = servers.start(var)
    assert again != urls
    assert stored(again) == ("d", "d")


START = """
import sys
from pathlib import Path
from tradingbot import servers
urls = servers.start(Path(sys.argv[1]))
print(urls.database, urls.redis)
"""


def test_two_starts_at_once_lead_to_one_pair_of_servers(var):
    starts = [
        subprocess.Popen([sys.executable, "-c", START, str(var)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = {start.communicate(timeout=60)[0] for start in starts}
    urls = servers.urls(var)
    assert answers == {f"{urls.database} {urls.redis}\n"}
    folders = {str((var / name).resolve()) for name in ("postgres", "valkey")}
    working = {p.pid: p.info for p in psutil.process_iter(["cwd", "ppid"]) if p.info["cwd"] in folders}
    assert {pid for pid, info in working.items() if info["ppid"] not in working} == set(pids(var).values())


def test_pid_files_that_name_another_program_are_not_believed(var):
    urls = servers.start(var)
    postmaster = (var / "postgres" / "postmaster.pid").read_text().split("\n", 1)[1]
    kill(*pids(var).values())
    (var / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{postmaster}")
    (var / "valkey" / "valkey.pid").write_text(f"{os.getpid()}\n")
    assert servers.start(var) == urls


def test_a_copied_folder_does_not_lead_to_the_servers_of_the_original(var):
    servers.start(var, database=False)
    copy = var.with_name("copy")
    shutil.copytree(var, copy)
    assert servers.urls(copy) == servers.Urls()
    assert servers.start(copy, database=False).redis != servers.urls(var).redis


def test_an_unwritable_folder_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(servers.ServerError, match="VAR_DIR"):
        servers.start(tmp_path / "file" / "var")


def test_asking_for_the_addresses_needs_only_the_standard_library(tmp_path):
    known = record.Server("redis://:secret@127.0.0.1:1/0", 1, 1, str(tmp_path / "valkey"))
    record.save(tmp_path, "valkey", known)
    code = "import sys, pathlib; from tradingbot import servers; print(servers.urls(pathlib.Path(sys.argv[1])).redis)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == known.url
    record.save(tmp_path, "valkey", replace(known, pid=2))
    assert record.load(tmp_path)["valkey"].pid == 2
