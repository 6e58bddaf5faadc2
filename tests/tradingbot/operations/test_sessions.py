from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models.functions import Now

from market.orders import OrderStatus
from market.sessions import tradeable
from tests.factories import NOW, AccountFactory, ContractFactory, StrategyFactory
from tradingbot.models import Account, CalendarDay, Notification, Order, OvernightRange, Position, SessionStep
from tradingbot.operations import bars, contracts, session_steps, sessions
from tradingbot.operations.calendar import between, ends_on

NEW_YORK = ZoneInfo("America/New_York")
Step, State = SessionStep.Step, SessionStep.State
WEDNESDAY = date(2026, 11, 18)


def new_york(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


@pytest.fixture
def calendar(db) -> None:
    sessions.ensure_calendar(now=NOW)


def steps(day: date = WEDNESDAY) -> dict[tuple[str, str], SessionStep]:
    rows = SessionStep.objects.filter(session_date=day).select_related("strategy")
    return {(row.step, row.strategy.name if row.strategy else ""): row for row in rows}


class TestCalendar:
    def test_reaches_a_year_ahead(self, calendar):
        assert (ends_on() - NOW.date()).days >= 364
        assert sessions.session_for(date(2027, 1, 1)) is None

    def test_a_row_that_a_person_edited_stays(self, calendar):
        row = CalendarDay.objects.get(trade_date=WEDNESDAY)
        row.closes_at, row.source = new_york(WEDNESDAY, "12:00"), "a person"
        row.save()
        sessions.ensure_calendar(now=NOW)
        assert sessions.session_for(WEDNESDAY).closes_at == new_york(WEDNESDAY, "12:00")

    def test_a_row_of_ours_that_is_wrong_is_set_right_and_an_invented_day_removed(self, calendar):
        CalendarDay.objects.filter(trade_date=WEDNESDAY).update(closes_at=new_york(WEDNESDAY, "12:00"))
        saturday = date(2026, 11, 21)
        wednesday = CalendarDay.objects.get(trade_date=WEDNESDAY)
        CalendarDay.objects.create(
            trade_date=saturday,
            opens_at=new_york(saturday, "01:00"),
            closes_at=new_york(saturday, "02:00"),
            rth_opens_at=new_york(saturday, "01:30"),
            source=wednesday.source,
        )
        assert sessions.ensure_calendar(now=NOW) == 2
        assert sessions.session_for(WEDNESDAY).closes_at == new_york(WEDNESDAY, "17:00")
        assert sessions.session_for(saturday) is None
        assert sessions.ensure_calendar(now=NOW) == 0

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2026-11-17T18:00", WEDNESDAY),
            ("2026-11-18T16:59", WEDNESDAY),
            ("2026-11-18T17:00", None),  # the daily break
            ("2026-11-21T12:00", None),  # a Saturday
            ("2026-12-25T12:00", None),
        ],
    )
    def test_current_is_the_open_session(self, calendar, at, expected):
        found = sessions.current(datetime.fromisoformat(at).replace(tzinfo=NEW_YORK))
        assert (found.trade_date if found else None) == expected


class TestPlan:
    def test_fixes_every_step_and_the_contract(self, calendar, account, strategy, contract):
        sessions.plan(account, now=NOW)
        planned = {
            key: (f"{row.due_at.astimezone(NEW_YORK):%d %H:%M}", f"{row.deadline.astimezone(NEW_YORK):%d %H:%M}")
            for key, row in steps().items()
        }
        assert planned == {
            ("prepare", ""): ("17 17:30", "18 17:00"),
            ("capture", "overnight_range"): ("18 09:30", "18 09:35"),
            ("cutoff", "overnight_range"): ("18 15:00", "18 17:00"),
            ("flatten", ""): ("18 16:00", "18 17:00"),
            ("verify", ""): ("18 16:01", "18 16:10"),
            ("report", ""): ("18 16:15", "19 17:00"),
        }
        assert steps()["capture", "overnight_range"].contract == contract

    def test_again_adds_nothing_and_changes_nothing(self, calendar, account, strategy, contract):
        assert sessions.plan(account, now=NOW) == 6
        SessionStep.objects.update(note="touched")
        assert sessions.plan(account, now=NOW) == 0
        assert {row.note for row in steps().values()} == {"touched"}

    def test_a_strategy_that_is_added_gets_its_steps(self, calendar, account, contract):
        sessions.plan_missing(now=NOW)
        assert set(steps()) == {("prepare", ""), ("flatten", ""), ("verify", ""), ("report", "")}
        StrategyFactory(account=account)
        assert sessions.plan_missing(now=NOW) == 2
        assert sessions.plan_missing(now=NOW) == 0

    def test_a_flat_time_before_the_accounts_is_a_step_of_the_strategy(self, calendar, account, strategy, contract):
        strategy.parameters |= {"flat_at": "13:00", "entry_cutoff": "12:00", "time_zone": "America/Chicago"}
        strategy.save()
        sessions.plan(account, now=NOW)
        assert steps()["flatten", "overnight_range"].due_at == new_york(WEDNESDAY, "14:00")
        assert steps()["cutoff", "overnight_range"].due_at == new_york(WEDNESDAY, "13:00")

    def test_after_the_flat_time_the_next_session_is_planned_too(self, calendar, account, strategy, contract):
        sessions.plan_missing(now=new_york(WEDNESDAY, "16:05"))
        thursday = WEDNESDAY + timedelta(days=1)
        assert ("capture", "overnight_range") in steps(thursday)
        assert steps(thursday)["prepare", ""].due_at == new_york(WEDNESDAY, "17:30")

    def test_good_friday_has_no_entries_to_plan(self, account, strategy, contract):
        good_friday = date(2026, 4, 3)
        now = new_york(good_friday, "08:00")
        sessions.ensure_calendar(now=now)
        sessions.plan(account, now=now)
        assert set(steps(good_friday)) == {("prepare", ""), ("flatten", ""), ("verify", ""), ("report", "")}
        assert steps(good_friday)["flatten", ""].due_at == new_york(good_friday, "08:50")  # closes at 09:15

    def test_a_start_after_the_capture_plans_it_all_the_same(self, calendar, account, strategy, contract):
        sessions.plan(account, now=new_york(WEDNESDAY, "11:00"))
        sessions.due(now=new_york(WEDNESDAY, "11:00"))
        missed = steps()["capture", "overnight_range"]
        assert missed.state == State.MISSED
        alert = Notification.objects.get(title="Missed: capture the overnight range")
        assert "due 09:30 and possible until 09:35 New York; nobody ran it" in alert.body

    def test_a_start_in_the_evening_does_not_complain_about_the_day(self, calendar, account, strategy, contract):
        sessions.plan(account, now=new_york(WEDNESDAY, "16:30"))
        assert set(steps()) == {
            ("prepare", ""),
            ("cutoff", "overnight_range"),
            ("flatten", ""),
            ("report", ""),
        }

    def test_without_calendar_nothing_is_planned(self, account, strategy, contract):
        assert sessions.plan_missing(now=NOW) == 0

    def test_an_account_of_a_resting_login_is_left_alone(self, calendar, account, strategy, contract):
        sessions.plan(account, now=NOW)
        account.login.enabled = False
        account.login.save()
        assert sessions.due(now=new_york(WEDNESDAY, "16:30")) == 0
        assert {row.state for row in steps().values()} == {State.PENDING}
        assert sessions.contracts_in_use(now=NOW + timedelta(days=7)) == []

    def test_parameters_that_cannot_be_used_do_not_keep_the_account_from_its_flatten(
        self, calendar, account, strategy, contract
    ):
        strategy.parameters = {"size": 0}
        strategy.save()
        sessions.plan_missing(now=NOW)
        assert set(steps()) == {("prepare", ""), ("flatten", ""), ("verify", ""), ("report", "")}

    def test_an_account_that_cannot_be_planned_keeps_no_other_from_its_steps(self, calendar, account):
        other = AccountFactory(login=account.login)
        refused = f"CHECK (account_id <> {account.pk})"
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE tradingbot_sessionstep ADD CONSTRAINT not_his {refused}")
        for _ in range(2):
            sessions.plan_missing(now=NOW)
        assert {row.account for row in SessionStep.objects.select_related("account")} == {other}
        told = Notification.objects.get(level="alert")
        assert (told.account, told.title) == (account, f"{account}: the session cannot be planned")
        assert "not_his" in told.body
        sessions.due(now=new_york(WEDNESDAY, "16:00"))
        other.refresh_from_db()
        assert other.flatten_requested_at

    def test_two_years_of_sessions(self, account, strategy, contract):
        """Every session of two years: local times hold through daylight saving, order and early closes too."""
        now = new_york(date(2025, 6, 2), "12:00")
        sessions.ensure_calendar(now=now)
        sessions.ensure_calendar(now=now + timedelta(days=365))
        days = between(date(2025, 1, 1), date(2026, 12, 31))
        local: Counter[tuple[str, str]] = Counter()
        for session in days:
            rows = {(row.step, row.strategy_id): row for row in session_steps.timetable(account, session)}
            flat, verify = rows[Step.FLATTEN, None], rows[Step.VERIFY, None]
            assert flat.due_at < verify.due_at <= verify.deadline < session.closes_at
            assert all(row.due_at <= row.deadline for row in rows.values())
            if not session.early_close:
                assert flat.due_at == new_york(session.trade_date, "16:00")
            capture = rows.get((Step.CAPTURE, strategy.pk))
            assert (capture is not None) == tradeable(session)
            if capture:
                assert session.opens_at < capture.due_at < rows[Step.CUTOFF, strategy.pk].due_at <= flat.due_at
                local[f"{capture.due_at.astimezone(NEW_YORK):%H:%M}", f"{capture.due_at:%H:%M}"] += 1
        assert 505 <= len(days) <= 520
        assert set(local) == {("09:30", "13:30"), ("09:30", "14:30")}  # summer and winter
        assert min(local.values()) > 150


class TestDue:
    @pytest.fixture
    def account(self, stage) -> Account:
        return stage.account

    @pytest.fixture
    def planned(self, calendar, stage, account, strategy) -> None:
        contracts.refresh(stage.login, now=NOW)
        sessions.plan(account, now=NOW)

    def test_captures_the_range_when_its_bars_are_there(self, planned, stage):
        stage.time.at = new_york(WEDNESDAY, "09:30") + timedelta(seconds=3)
        sessions.due(now=stage.time.at)
        step = steps()["capture", "overnight_range"]
        assert (step.state, step.done_at) == (State.DONE, stage.time.at)
        assert "from 930 of 930 minutes" in step.note
        assert OvernightRange.objects.get().complete

    def test_a_step_that_has_to_wait_is_tried_again_until_its_deadline(self, planned, stage):
        stage.time.at = new_york(WEDNESDAY, "09:30")  # the minute of 09:29 is not closed for two seconds yet
        sessions.due(now=stage.time.at)
        waiting = steps()["capture", "overnight_range"]
        assert (waiting.state, waiting.attempts) == (State.PENDING, 1)
        assert "bars are known until 14:29 UTC" in waiting.note
        stage.time.wait(seconds=3)
        sessions.due(now=stage.time.at)
        assert steps()["capture", "overnight_range"].state == State.DONE

    def test_past_the_deadline_it_is_missed_once_with_an_alert_that_says_why(self, planned, stage):
        late = new_york(WEDNESDAY, "09:35") + timedelta(seconds=1)
        for _ in range(2):
            sessions.due(now=late)
        assert steps()["capture", "overnight_range"].state == State.MISSED
        assert Notification.objects.filter(title="Missed: capture the overnight range").count() == 1

    def test_a_step_whose_process_died_is_taken_again_after_a_minute(self, planned, stage):
        stage.time.at = new_york(WEDNESDAY, "09:31")
        capture = SessionStep.objects.filter(step=Step.CAPTURE)
        capture.update(state=State.RUNNING, attempts=1, claimed_at=Now() - timedelta(seconds=59))
        sessions.due(now=stage.time.at)
        assert capture.get().state == State.RUNNING
        capture.update(claimed_at=Now() - timedelta(seconds=61))
        sessions.due(now=stage.time.at)
        assert (capture.get().state, capture.get().attempts) == (State.DONE, 2)

    def test_the_first_owner_of_a_step_that_was_taken_over_changes_nothing(self, planned, stage, monkeypatch):
        stage.time.at = new_york(WEDNESDAY, "09:31")
        capture = SessionStep.objects.filter(step=Step.CAPTURE)
        fetch = bars.fetch

        def slow(*args, **kwargs):
            capture.update(attempts=7, note="of another process")  # it took over meanwhile
            return fetch(*args, **kwargs)

        monkeypatch.setattr(session_steps.bars, "fetch", slow)
        sessions.due(now=stage.time.at)
        assert (capture.get().state, capture.get().note) == (State.RUNNING, "of another process")

    def test_a_step_that_fails_alerts_once_and_is_tried_again(self, planned, stage, monkeypatch):
        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("disk full")

        stage.time.at = new_york(WEDNESDAY, "09:31")
        monkeypatch.setattr(session_steps.bars, "fetch", broken)
        for _ in range(2):
            sessions.due(now=stage.time.at)
        assert steps()["capture", "overnight_range"].attempts == 2
        assert Notification.objects.filter(title__startswith="capture the overnight range failed").count() == 1
        monkeypatch.undo()
        sessions.due(now=stage.time.at)
        assert steps()["capture", "overnight_range"].state == State.DONE

    def test_asks_for_the_flatten_of_the_day(self, planned, stage, account):
        stage.time.at = new_york(WEDNESDAY, "16:00")
        sessions.due(now=stage.time.at)
        account.refresh_from_db()
        assert account.flatten_requested_at == stage.time.at

    def test_prepares_with_balance_and_agreement(self, planned, stage, account):
        account.balance_read_at = account.reconciled_at = None
        account.save()
        sessions.due(now=NOW)
        account.refresh_from_db()
        assert account.balance_read_at is not None
        assert account.reconciled_at is not None
        assert steps()["prepare", ""].note == "in agreement with the venue"

    def test_verifies_against_the_venue(self, planned, stage, account):
        stage.time.at = new_york(WEDNESDAY, "16:02")
        sessions.due(now=stage.time.at)
        assert (steps()["verify", ""].state, steps()["verify", ""].note) == (State.DONE, "flat, no orders")

    def test_reports_the_day(self, planned, stage):
        stage.time.at = new_york(WEDNESDAY, "16:16")
        sessions.due(now=stage.time.at)
        assert steps()["report", ""].state == State.DONE
        assert Notification.objects.filter(kind="summary").count() == 1

    def test_cuts_entries_off(self, planned, stage, account, strategy):
        entry = Order.objects.create(
            account=account,
            strategy=strategy,
            contract=strategy.steps.get(step=Step.CAPTURE).contract,
            session_date=WEDNESDAY,
            tag="tb-1",
            role="entry",
            side=1,
            type="stop",
            quantity=3,
            stop_price=21000,
            stop_ticks=40,
            created_at=NOW,
            updated_at=NOW,
        )
        sessions.due(now=new_york(WEDNESDAY, "15:00"))
        entry.refresh_from_db()
        assert entry.status == OrderStatus.CANCELLED  # it never left


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_runs_a_step():
    account = AccountFactory()
    ContractFactory()
    sessions.ensure_calendar(now=NOW)
    sessions.plan(account, now=NOW)
    at = new_york(WEDNESDAY, "16:00")
    SessionStep.objects.exclude(step=Step.FLATTEN).delete()
    start = Barrier(6)
    ran: list[int] = []

    def work() -> None:
        start.wait()
        ran.append(sessions.due(now=at))
        connection.close()

    threads = [Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ran) == 1
    assert SessionStep.objects.get().attempts == 1
    assert Notification.objects.filter(kind="position").count() == 1


def test_contracts_in_use_are_those_of_strategies_and_of_positions(calendar, account, strategy, contract):
    held = ContractFactory(symbol="MES", name="MESU6", active=False)
    ContractFactory(symbol="MCL", name="MCLZ6")
    Position.objects.create(account=account, contract=held, quantity=1)
    assert {row.name for row in sessions.contracts_in_use(now=NOW)} == {"MNQZ6", "MESU6"}


def test_a_strategy_stays_with_the_month_of_its_plan_when_the_product_rolls(calendar, account, strategy, contract):
    sessions.plan(account, now=NOW)
    contract.active = False
    contract.save()
    rolled = ContractFactory(name="MNQH7")
    assert sessions.strategies_on(contract, now=NOW) == [strategy]
    assert sessions.strategies_on(rolled, now=NOW) == []
