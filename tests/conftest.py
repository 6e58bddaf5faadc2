"""What several test packages share: rows, and the simulated venue in this process under a market time that stands."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig
from django.conf import settings
from django.db import connection, transaction
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from django.test import TransactionTestCase

from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from tests.factories import NOW, AccountFactory, ContractFactory, StrategyFactory
from tests.markets import DrawnMarket
from tradingbot.models import Account, Contract, Login, OverallState, Strategy
from tradingbot.operations import rulebooks, venues
from tradingbot.operations.bars import storing
from tradingbot.queues import redis

MADE_ONCE = ("django_migrations", "django_content_type", "auth_permission")
"""Tables that are filled with the database and that no test writes."""
WAITING = (
    "tests/brokers/test_budget_processes.py",
    "tests/test_day.py",
    "tests/tradingbot/guard/",
    "tests/tradingbot/management/test_stopping.py",
    "tests/tradingbot/test_processes.py",
    "tests/tradingbot/test_servers.py",
    "tests/tradingbot/test_supervisor.py",
)
"""Where tests wait for processes and real seconds; all others keep a processor busy."""
BY_CASE = {"tests/backtest/test_parity.py"}
"""Files that live through something long once a case, for several tests."""


@dataclass
class MarketTime:
    """Market time of a test: it stands until the test moves it."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def wait(self, **duration: float) -> datetime:
        self.at += timedelta(**duration)
        return self.at


@dataclass
class Stage:
    """The simulated venue, its market, its time, and our row of its one account."""

    venue: Venue
    broker: SimulatedBroker
    market: DrawnMarket
    time: MarketTime
    login: Login
    account: Account


@pytest.fixture
def market_time() -> MarketTime:
    return MarketTime(NOW)


@pytest.fixture
def stage(db, market_time) -> Iterator[Stage]:
    market = DrawnMarket()
    venue = Venue(Ledger(":memory:"), market)
    opened = venue.open_account("PRAC-V2-1001", Decimal(150_000), market_time.at)
    account = AccountFactory(broker_account_id=opened.id, name=opened.name)
    broker = SimulatedBroker(venue, market_time.now)
    venues.use(account.login, broker)
    yield Stage(venue, broker, market, market_time, account.login, account)
    venues.forget()
    venue.shut()


@pytest.fixture
def account(db) -> Account:
    return AccountFactory()


@pytest.fixture
def contract(db) -> Contract:
    return ContractFactory()


@pytest.fixture
def strategy(account) -> Strategy:
    return StrategyFactory(account=account)


@receiver(post_migrate)
def load_the_rulebook(sender: AppConfig, **_: Any) -> None:
    """Make the rows that every start makes, also after a test of transactions has emptied every table."""
    if sender.name == "tradingbot":
        rulebooks.load(now=NOW)


@pytest.fixture(scope="session")
def unhurried() -> Iterator[Callable[[bool], None]]:
    """Databases are made and dropped without our time limits: a busy disk may take longer than a statement of ours."""
    options, limits = connection.settings_dict["OPTIONS"], connection.settings_dict["OPTIONS"]["options"]

    def be(patient: bool) -> None:
        options["options"] = "" if patient else limits
        connection.close()

    be(True)
    yield be
    be(False)


@pytest.fixture(scope="session")
def migrated(unhurried: Callable[[bool], None], django_db_blocker: Any) -> None:
    """Migrate one database for all processes and later runs; each test database is a copy of it."""
    wanted = connection.settings_dict["TEST"]
    named, described = connection.settings_dict["NAME"], wanted["NAME"]
    migrations = sorted((settings.ROOT / "tradingbot" / "migrations").glob("*.py"))
    files = [*migrations, settings.ROOT / "requirements" / "dev.txt"]
    template = f"tradingbot_tests_{hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()[:12]}"
    with django_db_blocker.unblock(), _alone(settings.VAR_DIR / "migrated.lock"):
        with connection._nodb_cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'tradingbot_tests_%'")
            there = {name for (name,) in cursor.fetchall()}
            for old in there - {template}:
                cursor.execute(f'DROP DATABASE "{old}"')
        if template not in there:
            wanted["NAME"] = f"{template}_half"
            connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
            connection.close()
            settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = named
            with connection._nodb_cursor() as cursor:
                cursor.execute(f'ALTER DATABASE "{template}_half" RENAME TO "{template}"')
    wanted.update(NAME=described, TEMPLATE=template)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def django_db_setup(unhurried: Callable[[bool], None], migrated: None, django_db_setup: None) -> Iterator[None]:
    unhurried(False)
    yield
    unhurried(True)


def _delete_every_row(self: TransactionTestCase) -> None:
    """Empty the tables after a test that commits: for small ones a twentieth of what Django's TRUNCATE of all takes."""
    tables = sorted({*connection.introspection.django_table_names(only_existing=True)} - {*MADE_ONCE})
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f'DELETE FROM "{table}"' for table in tables))
        OverallState.objects.create()
        rulebooks.load(now=NOW)


TransactionTestCase._fixture_teardown = _delete_every_row  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def forget_what_this_process_knows() -> None:
    """Rows of another test's database have the same keys."""
    storing.memory.clear()


@pytest.fixture
def broker_queues() -> Iterator[None]:
    """An empty Redis before and after; it is the test run's own."""
    redis().flushdb()
    yield
    redis().flushdb()


def pytest_configure() -> None:
    """Spare every test user a hash that is made to be slow, and every test client a walk over all static files."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin first."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Keep the tests of a file in one process, in the order above; a case of BY_CASE is a file of its own.

    pytest-xdist 3.8 writes the groups of `--dist loadgroup` where pytest 9.2 does not read them: it would split them.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return file + test[test.find("[") :] if file in BY_CASE else file

        def _assign_work_unit(self, node: Any) -> None:
            """Let every second process begin with what waits: beside it the others have a processor each."""
            begins_with_waiting = self.nodes.index(node) % 2 == 0
            for file in self.workqueue:
                if file.startswith(WAITING) is begins_with_waiting:
                    self.workqueue.move_to_end(file, last=False)
                    break
            super()._assign_work_unit(node)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return twice as many as there are processors: half of them wait more than they compute, see `WAITING`."""
    return 2 * (os.cpu_count() or 1)
