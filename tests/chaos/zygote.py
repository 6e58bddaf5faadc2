"""Our processes from a fork: the libraries are loaded once, everything that reads the environment in each process anew.

Reads one JSON object a line from stdin (`module` or `path`, `argv`, `env`, `log`), answers with the process id. With
`fresh` the process loads everything itself: a fork's memory of its own grows by whatever shared page it writes to.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
LIBRARIES = (
    "celery.app.amqp",
    "celery.bin.celery",
    "celery.beat",
    "celery.concurrency.prefork",
    "celery.worker.worker",
    "django.contrib.admin",
    "django.contrib.auth.hashers",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django_celery_beat",
    "environ",
    "httpx",
    "kombu.transport.redis",
    "limits.storage",
    "msgspec",
    "numpy",
    "psycopg",
    "redis",
    "rest_framework",
    "simple_history",
    "starlette.applications",
    "structlog",
    "talib",
    "uvicorn",
    "uvicorn.protocols.http.httptools_impl",
    "brokers.projectx",
    "brokers.simulated.generator",
    "brokers.simulated.server",
    "risk.gate",
    "strategies",
)


def main() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: the kernel shall forget them
    _say("ready")
    children = []
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            _become(order)
        children.append(child)
        _say(child)
    for child in children:  # whoever asked for them is gone
        if _is_ours(child):
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)


def _is_ours(child: int) -> bool:
    """Return whether the number is not another's by now; what a dead child started keeps its group, and the number."""
    try:
        return psutil.Process(child).ppid() == os.getpid()
    except psutil.NoSuchProcess:
        return True


def _say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _become(order: dict[str, object]) -> None:
    """Be the process that `order` describes; never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        os.chdir(ROOT)
        if order["fresh"]:
            program = [str(order["path"])] if "path" in order else ["-m", str(order["module"])]
            os.execve(sys.executable, [sys.executable, *program, *order["argv"]], order["env"])  # type: ignore[misc, arg-type]
        os.environ.clear()
        os.environ.update(order["env"])  # type: ignore[arg-type]
        sys.argv = [str(order.get("path") or order["module"]), *order["argv"]]  # type: ignore[misc]
        sys.path.insert(0, str(ROOT))
        if "path" in order:
            runpy.run_path(str(order["path"]), run_name="__main__")
        else:
            runpy.run_module(str(order["module"]), run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
