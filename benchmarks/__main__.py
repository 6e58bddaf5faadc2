"""`make bench`: run one benchmark by name, or all of them with a table at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_") and path.stem != "stack")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    results = [_run(name) for name in names or NAMES]
    if len(results) > 1:
        table = Table("benchmark", "figures", "ratio", "goal", "ok")
        for result in results:
            figures = ", ".join(f"{name} {value}" for name, value in result["figures"].items())
            table.add_row(
                result["name"], figures, str(result["ratio"]), result["goal"], "yes" if result["ok"] else "NO"
            )
        Console().print(table)
    return 0 if all(result["ok"] for result in results) else 1


def _run(name: str) -> dict:
    """Run one benchmark in a process of its own and return its last line."""
    process = subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True)
    last = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last = line
    if process.wait() or not last.startswith("{"):
        return {"name": name, "figures": {}, "ratio": None, "goal": "runs to its end", "ok": False}
    return json.loads(last)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
