"""The supervisor with real processes: small Python programs instead of workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tradingbot.supervisor import Child, Place, Supervisor, end_leftovers, logfiles, procfile
from tradingbot.supervisor import supervisor as module
from tradingbot.supervisor.groups import MARK, Group, mark
from tradingbot.supervisor.instance import StartError, check_ports, running_as, single_instance

ROOT = Path(__file__).resolve().parents[2]

LIVES = "import signal; print('lives', flush=True); signal.pause()"
DIES = "import sys; print('a reason', flush=True); sys.exit(3)"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))
print('lives', flush=True)
while True:
    signal.pause()
"""
PARENT = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])
print(child.pid, flush=True)
signal.pause()
"""
DRAINS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit()))
print('lives', flush=True)
signal.pause()
"""
TELLS = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print(os.path.exists('run/two.pid')), sys.exit()))
print('lives', flush=True)
signal.pause()
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    run = tmp_path / "run"
    run.mkdir()
    yield Place(tmp_path, run, tmp_path / "log", dict(os.environ))
    end_leftovers(run, seconds=0)


@pytest.fixture
def make(place: Place) -> Callable[..., Child]:
    return lambda code, name="one", **given: Child(name, (sys.executable, "-c", code), place, **given)


def wait(condition: Callable[[], object]) -> None:
    """Poll what another process does; pytest's time limit ends a test whose condition never comes true."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.01)


def said(child: Child) -> str:
    return child.log_file.read_text() if child.log_file.exists() else ""


def pid(child: Child) -> int:
    return int(json.loads((child.place.run / f"{child.name}.pid").read_text())["pid"])


def alive(number: int) -> bool:
    return psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


# --- Procfile


def test_procfile_reads_commands_variables_and_defaults_as_a_shell_does():
    text = (
        "\n# remark\nrelease: a b && exec c 'd e'\nweb: exec run ${PORT:-${WEB_PORT:-8000}} $UNSET --host=${HOST:-x}\n"
    )
    assert procfile.parse(text, {"WEB_PORT": "81", "HOST": "a b"}) == {
        "release": [("a", "b"), ("c", "d e")],
        "web": [("run", "81", "--host=a b")],
    }


def test_values_of_variables_are_not_expanded_again():
    assert procfile.expand("-${A}$B-", {"A": "$B", "B": "${A}"}) == "-$B${A}-"


@pytest.mark.parametrize("line", ["web", "web:", "Web: x", "web: 'x", "web: ${A", "a: x\na: y"])
def test_a_wrong_line_is_named(line):
    with pytest.raises(ValueError, match="Procfile line"):
        procfile.parse(line, {})


def test_our_procfile_has_a_line_for_every_process():
    lines = procfile.parse((ROOT / "Procfile").read_text(), {"PORT": "80"})
    workers = ["worker-critical", "worker-high", "worker-normal", "worker-low", "worker-background"]
    assert list(lines) == ["release", "venue", "web", *workers, "beat", "stream", "guard", "flower"]
    assert lines["web"][0][-2:] == ("--port", "80")


def test_compose_runs_the_same_commands():
    lines = procfile.parse((ROOT / "Procfile").read_text(), {"WEB_HOST": "0.0.0.0", "FLOWER_HOST": "0.0.0.0"})
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    servers = {"postgres", "valkey"}
    assert set(services) - servers == set(lines)
    for name in set(lines) - {"release"}:
        command = [procfile.expand(word, {}) for word in services[name]["command"]]
        expected = list(lines[name][0])
        assert command[: len(expected)] == expected
        assert services[name]["stop_grace_period"] == "60s"


# --- one child


def test_a_process_that_ends_comes_back_after_1_2_4_and_at_most_30_seconds(make, caplog):
    child = make(DIES)
    child.start()
    delays = []
    for _ in range(7):
        wait(lambda: child._process is None or child._process.poll() is not None)
        child.tick(child.started)
        delays.append(child._delay)
        child.tick(child._due - 0.001)
        assert not child.running
        child.tick(child._due)
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    assert "one ended with 3" in caplog.text
    assert "a reason" in caplog.text
    wait(lambda: child.ended(0.0))


def test_a_process_that_lived_for_a_minute_comes_back_at_once(make):
    child = make(DIES)
    child._delay = 16.0
    child.start()
    child.started -= 60
    wait(lambda: child.tick(child.started) or not child.running)
    assert child._delay == 1


def test_a_program_that_is_missing_is_said_and_tried_again(place, caplog):
    child = Child("one", ("/no/such/program",), place)
    child.start()
    assert not child.running
    assert "cannot be started" in caplog.text


def test_a_process_that_ignores_the_request_is_killed_when_its_time_is_over(make):
    child = make(STUBBORN)
    child.start()
    wait(lambda: "lives" in said(child))
    child.ask_to_end(100.0, seconds=60)
    assert not child.ended(159.9)
    wait(lambda: child.ended(160.0))


def test_the_children_of_a_process_that_was_killed_end_with_it(make):
    child = make(PARENT)
    child.start()
    wait(lambda: said(child).strip())
    orphan = int(said(child))
    os.kill(pid(child), signal.SIGKILL)
    wait(lambda: not child.running or child.tick(child.started))
    wait(lambda: not alive(orphan))


def test_each_process_has_a_session_of_its_own_and_its_own_log(make):
    child = make("import os, sys; print(os.getsid(0) == os.getpid(), flush=True); print('to stderr', file=sys.stderr)")
    child.start()
    wait(lambda: child.ended(0.0))
    assert said(child) == "True\nto stderr\n"


# --- what a killed supervisor leaves

OUTER = """
import sys
from pathlib import Path
from tradingbot.supervisor import Child, Place, Supervisor
import os
tmp = Path(sys.argv[1])
place = Place(tmp, tmp / "run", tmp / "log", dict(os.environ))
children = [Child(f"c{i}", (sys.executable, "-c", code), place) for i, code in enumerate(sys.argv[2:])]
Supervisor(children).run(on_ready=lambda: print("ready", flush=True))
"""


def outer(tmp_path: Path, *codes: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OUTER, str(tmp_path), *codes]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def close(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=60)
    return process.returncode


def test_processes_outlive_a_killed_supervisor_and_the_next_start_ends_exactly_them(place, tmp_path):
    chatty = "import time\nwhile True: print('x' * 1000, flush=True); time.sleep(0.01)"
    supervisor = outer(tmp_path, chatty, PARENT)
    numbers = [json.loads(file.read_text())["pid"] for file in sorted(place.run.glob("*.pid"))]
    numbers.append(int((place.logs / "c1.log").read_text()))
    supervisor.kill()
    close(supervisor)
    size = (place.logs / "c0.log").stat().st_size
    wait(lambda: (place.logs / "c0.log").stat().st_size > size + 10_000)  # it goes on writing
    assert all(alive(number) for number in numbers)
    assert end_leftovers(place.run, seconds=10) == ["c0", "c1"]
    wait(lambda: not any(alive(number) for number in numbers))
    assert list(place.run.glob("*.pid")) == []


def test_a_group_whose_leader_is_gone_is_still_found(make, place):
    child = make(PARENT)
    child.start()
    wait(lambda: said(child).strip())
    orphan = int(said(child))
    os.kill(pid(child), signal.SIGKILL)
    wait(lambda: not alive(pid(child)))
    assert end_leftovers(place.run, seconds=10) == ["one"]
    wait(lambda: not alive(orphan) and child.ended(0.0))


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(place):
    stranger = subprocess.Popen([sys.executable, "-c", LIVES], stdout=subprocess.PIPE, start_new_session=True)
    assert stranger.stdout
    stranger.stdout.readline()
    created = psutil.Process(stranger.pid).create_time()
    Group("one", stranger.pid, created - 60).write(place.run)
    (place.run / "two.pid").write_text("{")
    assert end_leftovers(place.run, seconds=1) == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.communicate()


def test_the_processes_of_another_folder_are_not_ours(place):
    environment = {**os.environ, MARK: mark(Path("/elsewhere"))}
    stranger = subprocess.Popen([sys.executable, "-c", LIVES], env=environment, start_new_session=True)
    Group("one", stranger.pid, 0.0).write(place.run)
    assert end_leftovers(place.run, seconds=1) == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


# --- the loop


def test_run_starts_all_says_when_all_answer_and_leaves_nothing(make):
    children = [make(LIVES, "venue"), make(LIVES, "two", probe=lambda: "lives" in said(children[1]))]
    seen: list[str] = []

    def on_ready() -> None:
        seen.append("ready")
        seen.extend(child.name for child in children if alive(pid(child)))
        interrupt()

    Supervisor(children).run(on_ready, before_stop=lambda: seen.append(f"{children[0].running}"))
    assert seen == ["ready", "venue", "two", "True"]
    assert [child.running for child in children] == [False, False]


def test_all_others_have_ended_before_the_venue_is_asked(make):
    children = [make(TELLS, "venue"), make(DRAINS, "two")]
    Supervisor(children).run(on_ready=interrupt)
    assert (said(children[0]), said(children[1])) == ("lives\nFalse\n", "lives\n")


def test_a_process_that_dies_comes_back_while_the_others_go_on(make, monkeypatch):
    monkeypatch.setattr("tradingbot.supervisor.children.FIRST_DELAY", 0.0)
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    children = [make(LIVES, "one"), make(LIVES, "two")]
    first: list[int] = []

    def on_tick() -> None:
        if not first:
            first.extend(pid(child) for child in children)
            os.kill(first[0], signal.SIGKILL)
        elif children[0].ready and pid(children[0]) != first[0]:
            first.append(pid(children[1]))
            interrupt()

    Supervisor(children).run(on_tick=on_tick)
    assert first[1] == first[2]


def test_a_worker_without_a_heartbeat_for_90_seconds_is_started_again(make, monkeypatch):
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    children = [make(LIVES, "deaf"), make(LIVES, "fine")]
    ages = {"deaf": 0.0, "fine": 0.0}
    before: list[int] = []

    def on_ready() -> None:
        before.extend(pid(child) for child in children)
        ages["deaf"] = 95.0
        children[0].started -= 100
        children[0].answered -= 100

    def on_tick() -> None:
        if children[0].running and pid(children[0]) != before[0]:
            interrupt()

    Supervisor(children, heartbeats=lambda: ages, watched=frozenset(ages)).run(on_ready, on_tick)
    assert before[0] != before[1]


def test_nobody_is_started_again_while_the_heartbeats_cannot_be_read(make, monkeypatch, caplog):
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    child = make(LIVES, "worker")
    answers: list[dict[str, float]] = [{"worker": 0.0}]
    ticks: list[int] = []

    def heartbeats() -> dict[str, float]:
        if not answers:
            raise ConnectionError("the database is away")
        return answers.pop()

    def on_tick() -> None:
        child.started -= 100
        child.answered -= 100
        ticks.append(pid(child))
        if len(ticks) == 5:
            interrupt()

    Supervisor([child], heartbeats=heartbeats, watched=frozenset(["worker"])).run(on_tick=on_tick)
    assert len(set(ticks)) == 1
    assert caplog.text.count("the database is away") == 1


class JustThen(Supervisor):
    """Ctrl-C comes in the instant in which a hook has returned and may be interrupted no more."""

    struck = False

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_interrupts" and value is False and self.__dict__.get(name) and not self.struck:
            self.struck = True
            interrupt()
        super().__setattr__(name, value)


def test_ctrl_c_at_the_end_of_a_hook_asks_for_the_stop(make):
    child = make(LIVES)
    seen: list[str] = []
    JustThen([child]).run(on_tick=lambda: seen.append("tick"), before_stop=lambda: seen.append("asked"))
    assert (seen, child.running) == (["asked"], False)


def test_ctrl_c_interrupts_a_hook_that_takes_long(make):
    child = make(LIVES)
    seen: list[str] = []

    def forever() -> None:
        seen.append("began")
        interrupt()
        threading.Event().wait()

    Supervisor([child]).run(on_ready=forever, on_tick=lambda: seen.append("tick"), before_stop=forever)
    assert seen == ["began", "began"]
    assert not child.running


def test_an_error_in_a_hook_ends_nothing(make, caplog):
    child = make(LIVES)
    calls: list[bool] = []

    def on_tick() -> None:
        calls.append(child.running)
        if len(calls) == 3:
            interrupt()
        raise RuntimeError("story lost")

    Supervisor([child]).run(on_tick=on_tick)
    assert calls == [True, True, True]
    assert caplog.text.count("story lost") == 1


def test_a_second_interrupt_while_stopping_kills_what_drains(place, tmp_path):
    supervisor = outer(tmp_path, STUBBORN)
    number = json.loads((place.run / "c0.pid").read_text())["pid"]
    wait(lambda: "lives" in (place.logs / "c0.log").read_text())
    os.kill(supervisor.pid, signal.SIGINT)
    wait(lambda: "asked" in (place.logs / "c0.log").read_text())
    os.kill(supervisor.pid, signal.SIGINT)
    assert close(supervisor) == 0
    assert not alive(number)


def test_sigterm_stops_as_ctrl_c_does(place, tmp_path):
    supervisor = outer(tmp_path, LIVES)
    os.kill(supervisor.pid, signal.SIGTERM)
    assert close(supervisor) == 0
    assert list(place.run.glob("*.pid")) == []


# --- one instance, free ports, bounded logs


def test_a_second_supervisor_is_refused_with_the_first_ones_pid(tmp_path):
    with single_instance(tmp_path):
        assert running_as(tmp_path) == os.getpid()
        with pytest.raises(StartError, match=f"process {os.getpid()}:"), single_instance(tmp_path):
            raise AssertionError
    assert running_as(tmp_path) is None
    with single_instance(tmp_path):
        assert running_as(tmp_path) == os.getpid()


def test_an_occupied_port_is_said_with_the_variable_that_moves_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} .* set WEB_PORT"):
            check_ports({"WEB_PORT": port})
    check_ports({"WEB_PORT": port})


def test_a_log_over_its_limit_moves_on_and_its_writer_stays(tmp_path):
    file = tmp_path / "one.log"
    with logfiles.open_to_append(file) as writer:
        for number in range(6):
            writer.write(b"%d" % number * 10)
            writer.flush()
            logfiles.rotate(file, limit=9)
    assert file.read_bytes() == b""
    assert [(tmp_path / f"one.log.{n}").read_bytes()[:1] for n in (1, 2, 3)] == [b"5", b"4", b"3"]
    assert not (tmp_path / "one.log.4").exists()
