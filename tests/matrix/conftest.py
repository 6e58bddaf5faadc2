"""One site for the whole matrix, as one worker lives through it all; the table is printed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.table import Table

from tests.chaos.conftest import machine, run
from tests.matrix.site import Site

__all__ = ["machine", "run"]  # fixtures: a whole system with its venue

TABLE = Table("what befell it", "how it came back", "seconds", "started twice", "lost hints", title="Restart matrix")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("matrix"))
    with site.running():
        yield site


@pytest.fixture(scope="session")
def table() -> Table:
    return TABLE


def pytest_terminal_summary() -> None:
    if TABLE.row_count:
        Console().print(TABLE)
