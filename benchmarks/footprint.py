"""Memory of all processes together (PSS: shared pages counted once), with and without freezing the workers' heap."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks import stack

GOAL_MB, GOAL_RATIO = 1000, 0.7
SETTLE_SECONDS = 60  # half an hour of market time: every task has run

Parts = dict[str, list[tuple[float, float]]]
"""Megabytes of each process by name, PSS and what it shares with nobody; a worker's parent before its children."""


def main() -> int:
    frozen, unfrozen = _measure(freeze=True), _measure(freeze=False)
    for name, sizes in sorted(frozen.items(), key=lambda part: -_pss(part[1])):
        print(
            f"{name:18} {_pss(sizes):7.1f} MB, unfrozen {_pss(unfrozen.get(name, [])):7.1f} MB;"
            f" PSS (own): {', '.join(f'{pss:.1f} ({own:.1f})' for pss, own in sizes)}"
        )
    total = sum(map(_pss, frozen.values()))
    own, own_unfrozen = _children(frozen), _children(unfrozen)
    ratio = own / own_unfrozen
    figures = {
        "pss_mb": round(total),
        "unfrozen_mb": round(sum(map(_pss, unfrozen.values()))),
        "child_own_mb": round(own, 1),
        "child_own_unfrozen_mb": round(own_unfrozen, 1),
    }
    goal = f"<= {GOAL_MB} MB with the default children, a child's own memory frozen <= {GOAL_RATIO}x unfrozen"
    ok = total <= GOAL_MB and ratio <= GOAL_RATIO
    print(json.dumps({"name": "footprint", "figures": figures, "ratio": round(ratio, 2), "goal": goal, "ok": ok}))
    return 0


def _measure(*, freeze: bool) -> Parts:
    """Start everything on an empty database, let half an hour of market time pass, return what each process takes."""
    import psutil

    stack.clean()
    given = {name: value for name, value in os.environ.items() if name not in stack.SERVERS}
    environment = given | stack.ports() | {"VAR_DIR": str(stack.VAR)}
    environment["TRADINGBOT_CLOCK"] = "2026-11-18T09:25:00-05:00@30x"
    if not freeze:
        hooks = stack.VAR.parent / "bench-unfrozen"
        hooks.mkdir(parents=True, exist_ok=True)
        (hooks / "sitecustomize.py").write_text("import gc\ngc.freeze = lambda: None\n")
        environment["PYTHONPATH"] = str(hooks)
    up = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=stack.ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        stack.wait_for((stack.VAR / "clock.json").exists, "the start", seconds=300)
        time.sleep(SETTLE_SECONDS)
        parts: Parts = {}
        servers = json.loads((stack.VAR / "servers.json").read_text())
        roots = [psutil.Process(up.pid), *(psutil.Process(server["pid"]) for server in servers.values())]
        for process in [p for root in roots for p in (root, *root.children(recursive=True))]:
            with suppress(psutil.NoSuchProcess):  # a worker's child may just be replaced
                memory = process.memory_full_info()
                parts.setdefault(_name(process), []).append((memory.pss / 1e6, memory.uss / 1e6))
        return parts
    finally:
        up.terminate()
        up.wait(90)


def _pss(sizes: list[tuple[float, float]]) -> float:
    return sum(pss for pss, _ in sizes)


def _children(parts: Parts) -> float:
    """Return the mean of what a worker's child has for itself."""
    return statistics.mean(own for name, sizes in parts.items() if name.startswith("worker-") for _, own in sizes[1:])


def _name(process: object) -> str:
    line = " ".join(process.cmdline())  # type: ignore[attr-defined]
    for word in ("critical", "high", "normal", "low", "background"):
        if f"-Q {word}" in line or f"worker-{word}" in line or f"celeryd: {word}@" in line:
            return f"worker-{word}"
    others = ("venue", "web", "beat", "flower", "guard", "stream", "postgres", "valkey", "manage.py up", "forkserver")
    for word in others:
        if word in line:
            return word
    return Path(line.split()[0]).name if line else "?"


if __name__ == "__main__":
    sys.exit(main())
