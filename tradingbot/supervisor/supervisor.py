"""Starts the processes, keeps them alive and stops them: the loop of `manage.py up`."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from tradingbot.supervisor import logfiles
from tradingbot.supervisor.children import Child

log = logging.getLogger(__name__)

SILENT_SECONDS = 90.0
HUNG_SECONDS = 15.0  # what a silent process gets to end: more than one call to the venue takes
DRAIN_SECONDS = 60.0  # what a working process gets to end
SLEPT_SECONDS = 15.0  # between two looks: this process stood still, and so did all others
STARTING_CHECK_SECONDS, CHECK_SECONDS = 0.5, 5.0
TICK_SECONDS = 0.2
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAST = "venue"  # stops after all others: work that drains still speaks with it


def _nothing() -> None:
    return None


class Supervisor:
    """Runs `children` until it is asked to stop.

    heartbeats   seconds since the last sign of life by process name; it may raise, then nothing is concluded
    watched      names that must show up in `heartbeats`
    followed     names that must go on showing up there once they have since their start
    keep         called every five seconds, for what the children stand on (servers)
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        heartbeats: Callable[[], Mapping[str, float]] = dict,
        watched: frozenset[str] = frozenset(),
        followed: frozenset[str] = frozenset(),
        keep: Callable[[], None] = _nothing,
    ) -> None:
        self.children = children
        self.ready = False
        self._heartbeats = heartbeats
        self._watched = watched
        self._followed = followed
        self._keep = keep
        self._asked = self._stopping = self._forced = self._interrupts = False
        self._checked = self._blind = float("-inf")
        self._looked = float("inf")
        self._troubles: dict[str, str] = {}

    def run(
        self,
        on_ready: Callable[[], None] = _nothing,
        on_tick: Callable[[], None] = _nothing,
        before_stop: Callable[[], None] = _nothing,
    ) -> None:
        """Start all, keep them alive, stop them after SIGINT, SIGTERM or SIGHUP; Ctrl-C while they stop kills them.

        on_ready      called once, when every process has answered; a signal interrupts it; its errors stop everything
        on_tick       called five times a second from then on; an error of its own is logged, nothing more
        before_stop   called once before anything is stopped; a signal interrupts it, the stop goes on
        """
        before = {number: signal.getsignal(number) for number in SIGNALS}
        if before[signal.SIGHUP] == signal.SIG_IGN:  # nohup keeps its word
            del before[signal.SIGHUP]
        for number in before:
            signal.signal(number, self._ask)
        try:
            for child in self.children:
                child.start()
            while not self._asked:
                self._watch()
                if not self.ready and all(child.ready for child in self.children):
                    self.ready = True
                    self._interruptible(on_ready)
                    self._looked = time.monotonic()
                elif self.ready:
                    self._guarded("on_tick", on_tick)
                time.sleep(TICK_SECONDS)
            self._interruptible(lambda: self._guarded("before_stop", before_stop))
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """End every process, the venue after the others; work in hand gets up to a minute."""
        self._stopping = True
        for children in ([c for c in self.children if c.name != LAST], [c for c in self.children if c.name == LAST]):
            said = time.monotonic()
            for child in children:
                child.ask_to_end(time.monotonic(), seconds=DRAIN_SECONDS)
            while busy := [child for child in children if not child.ended(time.monotonic())]:
                if self._forced:
                    for child in busy:
                        child.kill()
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    log.info("waiting for %s; Ctrl-C ends them at once", ", ".join(child.name for child in busy))
                time.sleep(0.05)

    def _watch(self) -> None:
        now = time.monotonic()
        self._notice_sleep(now)
        for child in self.children:
            child.tick(now)
        if now - self._checked < (CHECK_SECONDS if self.ready else STARTING_CHECK_SECONDS):
            return
        self._checked = now
        self._guarded("servers", self._keep)
        self._guarded("logs", self._rotate)
        self._listen()
        self._restart_silent()
        for child in self.children:
            child.end_stopped(now)

    def _notice_sleep(self, now: float) -> None:
        """Give everybody their time anew after this process stood still: a suspended machine silences all of them."""
        if now - self._looked > SLEPT_SECONDS:
            log.warning("stood still for %.0f s: silence counts from now on", now - self._looked)
            self._blind = now
            for child in self.children:
                child.forgive()
        self._looked = now

    def _rotate(self) -> None:
        for child in self.children:
            logfiles.rotate(child.log_file)

    def _listen(self) -> None:
        """Note who answered: to its probe, by its heartbeat, else by living for a second."""
        ages: dict[str, float] = {}
        beating = self._watched | self._followed
        if beating and not self._guarded("heartbeats", lambda: ages.update(self._heartbeats())):
            self._blind = time.monotonic()
        for child in self.children:
            now = time.monotonic()
            beaten = now - ages.get(child.name, float("inf")) if child.name in beating else float("-inf")
            if child.name in self._watched or beaten > child.started:
                child.answered = max(child.answered, beaten)
            elif child.probe() if child.probe and child.running else child.running and now - child.started > 1:
                child.answered = time.monotonic()

    def _restart_silent(self) -> None:
        """End what is silent for too long; its restart follows."""
        now = time.monotonic()
        for child in self.children:
            if min(child.silence(now), now - self._blind) >= SILENT_SECONDS:
                log.error("%s gives no sign of life for %.0f s: it is started again", child.name, SILENT_SECONDS)
                child.ask_to_end(now, seconds=HUNG_SECONDS)

    def _guarded(self, name: str, call: Callable[[], object]) -> bool:
        """Call what must not end the supervision and return whether it went well; the same trouble is logged once."""
        try:
            call()
        except Exception as error:  # whatever it is, the processes need their supervisor
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            if self._troubles.get(name) != text:
                self._troubles[name] = text
                log.error("%s: %s", name, text)
            return False
        self._troubles.pop(name, None)
        return True

    def _interruptible(self, call: Callable[[], object]) -> None:
        """Call a hook that may take long or ask a person; a signal ends it and asks for the stop."""
        try:
            self._interrupts = True
            try:
                call()
            finally:
                self._interrupts = False
        except KeyboardInterrupt:  # also one that came in the instant in which `call` returned
            self._asked = True

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._forced = self._forced or (self._stopping and number == signal.SIGINT)
        if self._interrupts:
            self._interrupts = False
            raise KeyboardInterrupt
