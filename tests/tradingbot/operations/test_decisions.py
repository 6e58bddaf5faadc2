from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal as D
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import F

from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import regular_session
from tests.factories import NOW
from tradingbot.models import (
    Account,
    BarDay,
    Contract,
    Decision,
    Heartbeat,
    Notification,
    Order,
    OvernightRange,
    Strategy,
)
from tradingbot.operations import accounts, bars, contracts, decisions, heartbeats, reconciliation, sessions

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2026, 11, 18)
SESSION = regular_session(DAY)


def new_york(clock: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


@pytest.fixture
def account(stage) -> Account:
    return stage.account


@pytest.fixture
def mnq(stage, account, strategy) -> Contract:
    """Everything that a morning needs: calendar, contract, bars, an account that was read."""
    return make_ready(stage)


def make_ready(stage) -> Contract:
    sessions.ensure_calendar(now=NOW)
    contracts.refresh(stage.login, now=NOW)
    contract = Contract.objects.get(symbol="MNQ", active=True)
    sessions.plan(stage.account, now=NOW)
    record_seventeen_sessions(contract)
    accounts.refresh(stage.account, now=NOW)
    reconciliation.reconcile(stage.account, now=NOW)
    return contract


RECORDED: list[BarDay] = []


def record_seventeen_sessions(contract: Contract) -> None:
    """Read the bars from the venue, once a test process: they are the same for every test."""
    if RECORDED:
        BarDay.objects.bulk_create([replace_keys(day, contract) for day in RECORDED])
    else:
        bars.backfill(contract, sessions=17, now=NOW)
        RECORDED.extend(BarDay.objects.all())


def replace_keys(day: BarDay, contract: Contract) -> BarDay:
    row = copy(day)
    row.pk, row.contract = None, contract
    return row


@pytest.fixture
def evaluate(stage) -> Callable[[Contract, datetime], list[Decision]]:
    def at(contract: Contract, moment: datetime) -> list[Decision]:
        stage.time.at = moment
        bars.fetch(contract, now=moment)
        accounts.refresh(stage.account, now=moment)
        return decisions.evaluate(contract, now=moment)

    return at


OPEN = new_york("09:30") + timedelta(seconds=3)


class TestMorning:
    def test_places_both_breakouts_of_the_range_at_half_past_nine(self, mnq, stage, evaluate, strategy):
        assert evaluate(mnq, new_york("09:29") + timedelta(seconds=3)) == []
        (decision,) = evaluate(mnq, OPEN)
        assert (decision.outcome, decision.code) == ("ordered", "allowed")
        buy, sell = Order.objects.filter(role=Role.ENTRY).order_by("-side")
        overnight = stage.market.minutes(None, SESSION).between(SESSION.opens_at, new_york("09:30"))
        assert buy.stop_price == mnq.spec.price(int(overnight.high.max()) + 1)
        assert sell.stop_price == mnq.spec.price(int(overnight.low.min()) - 1)
        assert {(o.side, o.type, o.quantity, o.status) for o in (buy, sell)} == {
            (Side.BUY, OrderType.STOP, 3, OrderStatus.WORKING),
            (Side.SELL, OrderType.STOP, 3, OrderStatus.WORKING),
        }
        assert buy.oco_group == sell.oco_group is not None
        assert buy.expires_at == new_york("15:00")
        assert OvernightRange.objects.get().complete
        at_venue = {order.tag for order in stage.broker.orders_in_flight(stage.account.broker_account_id)}
        assert {buy.tag, sell.tag} <= at_venue

    def test_evaluations_that_say_nothing_new_only_count(self, mnq, evaluate, strategy):
        for minute in range(3):
            evaluate(mnq, NOW + timedelta(minutes=minute, seconds=3))
        strategy.refresh_from_db()
        assert (strategy.evaluations, strategy.last_evaluated_at) == (3, NOW + timedelta(minutes=2))
        assert not Decision.objects.exists()

    def test_the_same_bar_again_does_nothing(self, mnq, evaluate, strategy):
        evaluate(mnq, OPEN)
        assert decisions.evaluate(mnq, now=OPEN + timedelta(seconds=1)) == []
        assert Order.objects.filter(role=Role.ENTRY).count() == 2

    def test_a_worker_that_comes_back_within_the_grace_still_acts(self, mnq, evaluate):
        (decision,) = evaluate(mnq, new_york("09:34"))
        assert decision.outcome == "ordered"
        assert decision.bar_closed_at == new_york("09:30")

    def test_started_after_half_past_nine_it_says_so_and_does_not_trade(self, mnq, evaluate, strategy):
        (decision,) = evaluate(mnq, new_york("11:00"))
        assert (decision.outcome, decision.code) == ("missed", "too_late")
        assert "entries of 09:30 were seen at 11:00 New York, more than 5 minutes late" in decision.sentence
        assert not Order.objects.exists()
        assert Notification.objects.filter(kind="strategy", level="alert").count() == 1

    def test_started_after_half_past_nine_it_trades_if_it_is_set_so(self, mnq, evaluate, strategy):
        strategy.parameters |= {"late_start": "trade"}
        strategy.save()
        (decision,) = evaluate(mnq, new_york("11:00"))
        assert decision.outcome == "ordered"

    def test_entries_that_have_ended_are_not_placed_however_it_is_set(self, mnq, evaluate, strategy):
        strategy.parameters |= {"late_start": "trade"}
        strategy.save()
        (decision,) = evaluate(mnq, new_york("15:01"))
        assert (decision.outcome, decision.code) == ("missed", "expired")

    def test_yesterdays_entries_are_not_todays(self, mnq, evaluate, strategy):
        assert evaluate(mnq, NOW) == []  # the first look of all, at 09:20 with 17 sessions of bars

    def test_a_minute_that_is_not_known_makes_it_wait(self, mnq, stage, evaluate, strategy):
        evaluate(mnq, new_york("09:27"))
        alone = stage.market.minutes(None, SESSION).between(new_york("09:29"), new_york("09:30"))
        bars.record(
            mnq, DAY, alone, source="stream", covered_from=new_york("09:29"), covered_until=new_york("09:30"), now=OPEN
        )
        assert decisions.evaluate(mnq, now=OPEN) == []  # 09:27 and 09:28 may have made the range wider
        (decision,) = evaluate(mnq, OPEN + timedelta(seconds=5))
        assert decision.outcome == "ordered"

    def test_a_reason_not_to_trade_is_kept_once(self, mnq, evaluate, strategy):
        strategy.parameters |= {"filter_range_size": True, "range_min_points": "400", "range_max_points": "500"}
        strategy.save()
        (decision,) = evaluate(mnq, OPEN)
        assert (decision.outcome, decision.session_date) == ("no_signal", DAY)
        assert "the range is" in decision.sentence
        assert evaluate(mnq, OPEN + timedelta(minutes=1)) == []
        assert "range_high" in decision.inputs


class TestDenials:
    def test_the_gates_denial_is_a_decision_with_every_rule(self, mnq, evaluate, account):
        Account.objects.update(trading_state="halted", state_reason="a test")
        (decision,) = evaluate(mnq, OPEN)
        assert (decision.outcome, decision.code) == ("denied", "halted")
        assert len(decision.rules) > 8
        assert not Order.objects.exists()

    def test_a_range_that_is_not_the_captured_one_is_a_denial(self, mnq, evaluate):
        OvernightRange.objects.create(
            contract=mnq, session_date=DAY, high=D(20_100), low=D(19_900), bars=930, expected_bars=930,
            complete=True, captured_at=NOW,
        )  # fmt: skip
        (decision,) = evaluate(mnq, OPEN)
        assert (decision.outcome, decision.code) == ("denied", "range_differs")
        assert not Order.objects.exists()

    def test_near_the_daily_loss_limit_its_filter_denies(self, mnq, stage, strategy, evaluate):
        strategy.parameters |= {"filter_dll_proximity": True, "dll_proximity_percent": 70}
        strategy.save()
        Account.objects.update(daily_loss_limit=D(1000), session_start_balance=D(150_700))
        (decision,) = evaluate(mnq, OPEN)
        assert (decision.code, decision.sentence[:35]) == ("dll_proximity", "70 % of the daily loss limit are lo")

    def test_a_halted_strategy_says_so(self, mnq, evaluate, strategy):
        Strategy.objects.update(halted_on=DAY, halt_reason="both sides filled")
        (decision,) = evaluate(mnq, OPEN)
        assert decision.code == "strategy_halted"
        assert "both sides filled" in decision.sentence

    def test_a_strategy_that_is_off_is_not_evaluated(self, mnq, evaluate, strategy):
        Strategy.objects.update(enabled=False)
        assert evaluate(mnq, OPEN) == []


class TestFailures:
    def test_one_that_is_broken_is_switched_off_and_the_others_go_on(self, mnq, evaluate, strategy, account):
        broken = Strategy.objects.create(
            name="broken", kind="overnight_range", account=account, symbol="MNQ", enabled=True, parameters={"size": 0}
        )
        strategy.delete()
        works = Strategy.objects.create(
            name="works", kind="overnight_range", account=account, symbol="MNQ", enabled=True, parameters={}
        )
        taken = evaluate(mnq, OPEN)
        assert {(d.strategy.name, d.outcome) for d in taken} == {("broken", "failed"), ("works", "ordered")}
        evaluate(mnq, OPEN + timedelta(minutes=1))
        (decision,) = Decision.objects.filter(strategy=broken)
        assert decision.code == "broken"
        assert "size: 0 is below the least allowed" in decision.sentence
        assert "switched off" in decision.sentence
        assert Notification.objects.filter(level="alert", body=decision.sentence).count() == 1
        broken.refresh_from_db()
        works.refresh_from_db()
        assert (broken.enabled, works.enabled) == (False, True)
        assert broken.history.first().history_change_reason.startswith("it failed: ParameterError")
        assert broken.last_evaluated_at is None
        assert works.last_evaluated_at == new_york("09:31")

    def test_what_fails_around_a_strategy_leaves_it_on_and_is_told_once(self, mnq, evaluate, strategy):
        with connection.cursor() as cursor:  # its rows cannot be written
            cursor.execute("ALTER TABLE tradingbot_order ADD CONSTRAINT never CHECK (false) NOT VALID")
        first = evaluate(mnq, OPEN)
        assert [(d.outcome, d.code) for d in first] == [("failed", "failed")]
        assert evaluate(mnq, OPEN + timedelta(seconds=1)) == []
        strategy.refresh_from_db()
        assert (strategy.enabled, strategy.last_evaluated_at) == (True, None)


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_the_same_bar_is_acted_on_once(self, stage, strategy):
        contract = make_ready(stage)
        stage.time.at = OPEN
        bars.fetch(contract, now=OPEN)
        accounts.refresh(stage.account, now=OPEN)
        start = Barrier(4)
        taken: list[Decision] = []

        def work() -> None:
            start.wait()
            taken.extend(decisions.evaluate(contract, now=OPEN))
            connection.close()

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [decision.outcome for decision in taken] == ["ordered"]
        assert Order.objects.filter(role=Role.ENTRY).count() == 2
        strategy.refresh_from_db()
        assert strategy.evaluations == 1

    def test_a_crash_between_intent_and_claim_leaves_neither(self, stage, strategy, monkeypatch):
        contract = make_ready(stage)
        stage.time.at = OPEN
        bars.fetch(contract, now=OPEN)
        accounts.refresh(stage.account, now=OPEN)

        class Died(BaseException):
            """The process is killed here."""

        def die(*_: object) -> bool:
            assert Order.objects.filter(role=Role.ENTRY).count() == 2
            raise Died

        with monkeypatch.context() as patched:
            patched.setattr(decisions, "_claim", die)
            with pytest.raises(Died):
                decisions.evaluate(contract, now=OPEN)
        strategy.refresh_from_db()
        assert strategy.last_evaluated_at is None
        assert not Order.objects.exists()
        (decision,) = decisions.evaluate(contract, now=OPEN)
        assert decision.outcome == "ordered"


class TestExplain:
    @pytest.fixture(autouse=True)
    def alive(self, db) -> None:
        for name in ("beat", "worker-high", "worker-normal"):
            heartbeats.beat(name)

    @pytest.fixture
    def why(self, monkeypatch, strategy) -> Callable[[datetime], str]:
        def at(moment: datetime) -> str:
            monkeypatch.setattr("tradingbot.operations.explanations.market_now", lambda: moment)
            return "\n".join(decisions.explain(Strategy.objects.get(), DAY))

        return at

    def test_tells_orders_and_what_became_of_them(self, mnq, evaluate, why):
        evaluate(mnq, OPEN)
        told = why(OPEN)
        assert "09:30:03 ordered: 3 MNQ may be sent" in told
        assert "buy 3 MNQ stop 20,0" in told
        assert "sell 3 MNQ stop 19,9" in told

    def test_before_the_capture_there_is_nothing_to_tell_yet(self, mnq, evaluate, why):
        evaluate(mnq, NOW)
        assert "Nothing yet: entries are decided at 09:30 New York." in why(NOW)

    def test_switched_off(self, mnq, why):
        Strategy.objects.update(enabled=False)
        assert "overnight_range is switched off." in why(OPEN)

    def test_the_task_never_ran(self, mnq, why):
        assert "The strategy was not evaluated in this session: it never ran." in why(new_york("10:00"))

    def test_the_feed_is_stale(self, mnq, evaluate, why):
        evaluate(mnq, NOW)
        assert "The feed is stale: bars of MNQ are known until 09:19 New York." in why(new_york("10:00"))

    def test_no_sign_of_life(self, mnq, why):
        Heartbeat.objects.filter(name="beat").update(at=F("at") - timedelta(minutes=5))
        assert "No sign of life from beat: what they do is not done." in why(new_york("10:00"))

    def test_a_day_without_a_session(self, mnq, strategy):
        (told,) = decisions.explain(strategy, date(2026, 12, 25))
        assert "is not traded: the calendar has no session" in told

    def test_a_missed_capture(self, mnq, why):
        sessions.due(now=new_york("10:00"))
        assert "Missed: capture the overnight range, due 09:30 New York" in why(new_york("10:00"))

    def test_a_halted_account(self, mnq, why):
        Account.objects.update(trading_state="halted", state_reason="emergency stop: a test")
        assert "is halted: emergency stop: a test" in why(new_york("10:00"))

    def test_all_strategies_by_name(self, mnq, evaluate):
        evaluate(mnq, OPEN)
        assert all(sentence.startswith("overnight_range: ") for sentence in decisions.explain(None, DAY))
