"""Memory of all processes together (PSS: shared pages counted once), with and without freezing the workers' heap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks import stack

GOAL_MB, GOAL_RATIO = 1000, 0.7


def main() -> int:
    frozen, parts = _measure(freeze=True)
    unfrozen, _ = _measure(freeze=False)
    for name, megabytes in sorted(parts.items(), key=lambda part: -part[1]):
        print(f"{name:18} {megabytes:7.1f} MB")
    ratio = frozen / unfrozen
    figures = {"pss_mb": round(frozen), "unfrozen_mb": round(unfrozen)}
    goal = f"<= {GOAL_MB} MB with the default children, frozen <= {GOAL_RATIO}x unfrozen"
    ok = frozen <= GOAL_MB and ratio <= GOAL_RATIO
    print(json.dumps({"name": "footprint", "figures": figures, "ratio": round(ratio, 2), "goal": goal, "ok": ok}))
    return 0


def _measure(*, freeze: bool) -> tuple[float, dict[str, float]]:
    """Start everything on an empty database, let half an hour of market time pass, return megabytes and their parts."""
    import psutil

    environment = {**os.environ, "VAR_DIR": str(stack.VAR), "TRADINGBOT_CLOCK": "2026-11-18T09:25:00-05:00@30x"}
    if not freeze:
        hooks = stack.VAR.parent / "bench-unfrozen"
        hooks.mkdir(parents=True, exist_ok=True)
        (hooks / "sitecustomize.py").write_text("import gc\ngc.freeze = lambda: None\n")
        environment["PYTHONPATH"] = str(hooks)
    stack.clean()
    up = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=stack.ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        stack.wait_for((stack.VAR / "clock.json").exists, "the start", seconds=180)
        time.sleep(60)
        parts: dict[str, float] = {}
        servers = json.loads((stack.VAR / "servers.json").read_text())
        roots = [psutil.Process(up.pid), *(psutil.Process(server["pid"]) for server in servers.values())]
        for process in [p for root in roots for p in (root, *root.children(recursive=True))]:
            with suppress(psutil.NoSuchProcess):  # a worker's child may just be replaced
                name = _name(process)
                parts[name] = parts.get(name, 0) + process.memory_full_info().pss / 1e6
        return sum(parts.values()), parts
    finally:
        up.terminate()
        up.wait(90)


def _name(process: object) -> str:
    line = " ".join(process.cmdline())  # type: ignore[attr-defined]
    for word in ("critical", "high", "normal", "low", "background"):
        if f"-Q {word}" in line:
            return f"worker-{word}"
    for word in ("venue", "uvicorn", "beat", "flower", "postgres", "valkey", "manage.py up"):
        if word in line:
            return word
    return Path(line.split()[0]).name if line else "?"


if __name__ == "__main__":
    sys.exit(main())
