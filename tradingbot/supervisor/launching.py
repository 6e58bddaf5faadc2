"""How a process of the Procfile comes to life: a program of its own, or a fork of one that has loaded the libraries.

Forks share the memory of what is loaded and start in a fraction of the time. The fork server is Python's own
(`multiprocessing`): it tells how a process ended, and one that cannot serve costs nothing but the saving.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import runpy
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol

from tradingbot.supervisor import logfiles
from tradingbot.supervisor.procfile import Command

log = logging.getLogger(__name__)

PRELOADED = "tradingbot.processes.preloaded"


class Process(Protocol):
    """What a supervisor needs of a process that it started."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return the exit code, a signal's number below zero, None while it runs."""

    def terminate(self) -> None: ...


def execute(command: Command, root: Path, environment: Mapping[str, str], log_file: Path) -> Process:
    """Start a program. Raises OSError."""
    with logfiles.open_to_append(log_file) as output:
        return subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C at the terminal reaches the supervisor alone
        )


def preload() -> bool:
    """Start the fork server, which loads the libraries meanwhile; return whether this system has one.

    Its environment is ours. macOS forks no process that has used its frameworks.
    """
    if sys.platform != "linux":
        return False
    multiprocessing.set_forkserver_preload([PRELOADED])
    forkserver.ensure_running()
    return True


def fork(command: Command, root: Path, environment: Mapping[str, str], log_file: Path) -> Process:
    """Fork a process that runs `python -m MODULE …` or `python FILE …`; a program of its own if that fails."""
    child = multiprocessing.get_context("forkserver").Process(
        target=_run, args=(command[1:], str(root), dict(environment), str(log_file)), name=log_file.stem
    )
    try:
        child.start()
    except (OSError, EOFError) as error:
        log.warning("%s is not forked (%r), it starts as a program", log_file.stem, error)
        return execute(command, root, environment, log_file)
    return _Forked(child)


class _Forked:
    """A fork, watched by the kernel's word: it goes on while the fork server is killed, only its exit code is lost."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        try:
            self._alive: int | None = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._alive = None

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def poll(self) -> int | None:
        if self._alive is not None:
            if not select.select([self._alive], [], [], 0)[0]:
                return None
            os.close(self._alive)
            self._alive = None
        return self._process.exitcode  # in a moment; 255 from a fork server that is gone

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


def _run(arguments: tuple[str, ...], root: str, environment: dict[str, str], log_file: str) -> None:
    """Be the program, in the forked process."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with logfiles.open_to_append(Path(log_file)) as output, open(os.devnull, "rb") as nothing:
        for target, source in ((0, nothing), (1, output), (2, output)):
            os.dup2(source.fileno(), target)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _title(Path(log_file).stem)  # while the environment stands where the kernel put it
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(root)
    try:
        if arguments[0] == "-m":
            sys.argv = list(arguments[1:])
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(arguments)
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out


def _title(name: str) -> None:
    """Let `ps` tell the forks apart; the environment stays where it is, it says whose process this is."""
    os.environ.update(SPT_NOENV="1")
    from setproctitle import setproctitle

    setproctitle(f"tradingbot {name}")
