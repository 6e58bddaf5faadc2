"""The compiled loop, loaded: by one process while it is compiled, the others wait and then find it beside the code."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_LAST = {"kernel": "run", "excursions": "excursions"}  # of each source the function that is compiled last
_SOURCES = tuple(Path(__file__).with_name(f"{name}.py") for name in _LAST)
_COMPILING = "compiling the simulation, once for this version: about ten seconds"


def kernel(say: Callable[[str], None] = lambda text: None) -> ModuleType:
    """Return `backtest.kernel`; `say` is told before it has to be compiled, which happens once an installation."""
    if "backtest.kernel" not in sys.modules:
        if _is_kept():
            _load()
        else:
            with _alone():
                if not _is_kept():
                    say(_COMPILING)
                _load()
    return sys.modules["backtest.kernel"]


def _load() -> None:
    from backtest import excursions, kernel  # noqa: F401  loaded for whoever asks for them next


def _is_kept() -> bool:
    """Return whether numba's cache has each source's last function, newer than that; True where it lies elsewhere."""
    if os.environ.get("NUMBA_CACHE_DIR") or not os.access(_SOURCES[0].parent, os.W_OK):
        return True
    return all(_kept_at(source) > source.stat().st_mtime for source in _SOURCES)


def _kept_at(source: Path) -> float:
    tag = f"py{sys.version_info.major}{sys.version_info.minor}"
    kept = source.parent.joinpath("__pycache__").glob(f"{source.stem}.{_LAST[source.stem]}-*.{tag}.*.nbc")
    return max((file.stat().st_mtime for file in kept), default=0.0)


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the machine's lock on compiling; the kernel of the system gives it back when a process dies."""
    with Path(tempfile.gettempdir(), f"tradingbot-{_SOURCES[0].stat().st_ino}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
