from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import pre_migrate

from tests.factories import NOW, LoginFactory
from tradingbot.clock import Anchor, clock
from tradingbot.models import Account, BarDay, CalendarDay, Contract, Login, SessionStep, Strategy
from tradingbot.operations import places, setup

User = get_user_model()
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")


class TestPrepare:
    def test_makes_admin_login_and_calendar_once(self, db, settings):
        assert len(setup.prepare(now=NOW)) == 3
        assert setup.prepare(now=NOW) == []
        admin = User.objects.get(username="admin")
        assert admin.is_superuser
        assert admin.check_password(settings.ADMIN_PASSWORD)
        login = Login.objects.get()
        assert (login.venue, login.base_url) == ("paper", f"http://127.0.0.1:{settings.VENUE_PORT}")
        assert CalendarDay.objects.filter(trade_date__gt=NOW.date()).count() > 240

    def test_leaves_a_password_that_a_person_changed(self, db, settings):
        setup.prepare(now=NOW)
        admin = User.objects.get()
        admin.set_password("another")
        admin.save()
        settings.ADMIN_PASSWORD = "third"
        setup.prepare(now=NOW)
        assert User.objects.get().check_password("another")

    def test_the_key_of_the_real_venue_is_stored_encrypted_and_the_paper_login_rests(self, db, settings):
        setup.prepare(now=NOW)
        settings.TRADING_VENUE, settings.PROJECTX_USERNAME, settings.PROJECTX_API_KEY = "projectx", "me", "secret-key"
        setup.prepare(now=NOW)
        assert dict(Login.objects.values_list("name", "enabled")) == {"paper": False, "projectx": True}
        assert Login.objects.get(name="projectx").api_key == "secret-key"
        with connection.cursor() as cursor:
            cursor.execute("SELECT api_key FROM tradingbot_login WHERE name = 'projectx'")
            assert "secret-key" not in cursor.fetchone()[0]

    def test_a_new_key_replaces_the_old_one_and_its_token(self, db, settings):
        settings.TRADING_VENUE, settings.PROJECTX_USERNAME, settings.PROJECTX_API_KEY = "projectx", "me", "old"
        setup.prepare(now=NOW)
        Login.objects.update(token="of the old key")
        settings.PROJECTX_API_KEY = "new"
        setup.prepare(now=NOW)
        assert (Login.objects.get().api_key, Login.objects.get().token) == ("new", "")

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"TRADING_VENUE": "live"}, "TRADING_VENUE='live': write paper or projectx"),
            ({"TRADING_VENUE": "projectx"}, "PROJECTX_USERNAME is empty"),
            ({"TRADING_VENUE": "projectx", "PROJECTX_USERNAME": "me"}, "PROJECTX_API_KEY is empty"),
        ],
    )
    def test_what_is_missing_is_named(self, db, settings, changes, said):
        for name, value in changes.items():
            setattr(settings, name, value)
        with pytest.raises(ImproperlyConfigured, match=said):
            setup.prepare(now=NOW)
        assert not Login.objects.exists()
        assert not User.objects.exists()

    def test_what_the_environment_pins_is_set_at_every_start(self, account, monkeypatch):
        setup.prepare(now=NOW)
        assert Strategy.objects.get(name="overnight_range").parameters["size"] == 3
        monkeypatch.setenv("OVERNIGHT_POSITION_SIZE", "1")
        setup.prepare(now=NOW)
        assert Strategy.objects.get(name="overnight_range").parameters["size"] == 1

    def test_the_command_says_it_in_one_line(self, db, monkeypatch):
        monkeypatch.setenv("OVERNIGHT_SIZE", "3")
        with pytest.raises(CommandError, match="OVERNIGHT_SIZE: there is no such variable"):
            call_command("prepare")

    def test_a_migration_may_take_as_long_as_it_takes(self, db):
        def limits(**_: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in LIMITS)}")
                seen.append(cursor.fetchone())

        seen: list[object] = []
        pre_migrate.connect(limits, sender=apps.get_app_config("tradingbot"))
        try:
            call_command("prepare", verbosity=0)
        finally:
            pre_migrate.disconnect(limits, sender=apps.get_app_config("tradingbot"))
        limits()
        assert seen == [("0", "0"), ("5s", "10s")]


class TestPlace:
    @pytest.fixture
    def real(self) -> Login:
        return LoginFactory.build(venue="projectx", base_url="https://api.topstepx.com")

    @pytest.fixture
    def paper(self) -> Login:
        return LoginFactory.build(base_url="http://127.0.0.1:8700")

    def test_a_rehearsal_of_another_day_never_meets_a_real_venue(self, real, paper, monkeypatch):
        monkeypatch.setattr(clock, "anchor", Anchor(NOW, 30.0))
        with pytest.raises(ImproperlyConfigured, match="TRADINGBOT_CLOCK"):
            places.check(real)
        places.check(paper)

    def test_a_hosted_machine_refuses_a_real_venue_unless_it_is_acknowledged(self, real, paper, settings):
        settings.HOSTED = True
        with pytest.raises(ImproperlyConfigured, match="ORDERS_ON_HOSTED_MACHINE=true"):
            places.check(real)
        places.check(paper)
        settings.ORDERS_ON_HOSTED_MACHINE = True
        places.check(real)


class TestConnect:
    @pytest.fixture
    def empty(self, stage) -> None:
        """A venue that was never asked."""
        stage.account.delete()
        setup.sessions.ensure_calendar(now=NOW)

    def test_reads_all_that_trading_needs(self, empty, stage, monkeypatch):
        monkeypatch.setattr(setup, "SESSIONS", 5)
        told: list[str] = []
        assert not setup.is_connected()
        setup.connect(now=NOW, progress=told.append)
        assert setup.is_connected()
        account, strategy = Account.objects.get(), Strategy.objects.get(name="overnight_range")
        assert account.reconciled_at is not None
        assert account.balance_read_at is not None
        assert (strategy.account, strategy.symbol, strategy.enabled) == (account, "MNQ", True)
        assert Contract.objects.filter(active=True, symbol="MNQ").count() == 1
        assert SessionStep.objects.filter(account=account).count() == 6
        assert BarDay.objects.filter(complete=True).count() == 4
        assert told[0] == "paper: 1 accounts"
        assert "MNQZ6: bars of 5 of 5 sessions are there" in told
        assert setup.connect_once(now=NOW) is False

    def test_nothing_is_connected_without_a_login(self, db):
        assert not setup.is_connected()
        LoginFactory()
        assert not setup.is_connected()
