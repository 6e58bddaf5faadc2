"""The trader's day at a prompt, on the simulated venue: what the venue's own ledger shows is what counts."""

from __future__ import annotations

import getpass
import io
from decimal import Decimal as D

import pytest

from brokers.base import PlaceOrder
from brokers.simulated.records import Status
from market.orders import OrderType, Side
from tradingbot.clock import now
from tradingbot.models import Account, Contract, Decision, Order, Position, Strategy
from tradingbot.operations import strategies, venues


def resting(venue) -> list[tuple[str, int, D]]:
    """Return side, size and price of what works at the venue."""
    return sorted(
        (o.side.name, o.remaining, (o.limit if o.limit is not None else o.stop) * D("0.25"))
        for o in venue.ledger.in_flight()
        if o.status is Status.OPEN
    )


def test_a_market_order_arrives_with_its_bracket(venue, run):
    ran = run("trade", "mnq", "BUY", "2", "--sl", "21460", "--tp", "21500", "--json")
    assert (ran.code, ran.error) == (0, "")
    (entry,) = ran.document["orders"]
    order = Order.objects.get(pk=entry["id"])
    assert (entry["status"], entry["filled"], entry["tag"]) == ("filled", 2, order.tag)
    assert (order.requested_by, order.stop_ticks, order.target_ticks) == (getpass.getuser(), 80, 80)
    fill = D(entry["fill_price"])
    assert resting(venue) == [("SELL", 2, fill - 20), ("SELL", 2, fill + 20)]
    assert ran.document["decision"]["outcome"] == "ordered"


def test_a_limit_entry_rests_moves_and_is_cancelled(venue, run):
    ran = run("trade", "MNQ", "BUY", "1", "--limit", "21470", "--sl-ticks", "40")
    order = Order.objects.get(role="entry")
    assert (ran.code, ran.out) == (
        0,
        f"order #{order.pk} buy 1 MNQ limit 21,470.00 is working (tag {order.tag}, venue id {order.broker_order_id})\n",
    )
    assert resting(venue) == [("BUY", 1, D(21470))]
    assert run("modify", str(order.pk), "--price", "21465.25").code == 0
    assert resting(venue) == [("BUY", 1, D("21465.25"))]
    assert run("cancel", order.tag).code == 0
    assert venue.ledger.in_flight() == []
    order.refresh_from_db()
    assert order.status == "cancelled"


def test_a_breakout_bracket_rests_with_its_breakeven(venue, run):
    typed = ("stop_bracket", "MNQ", "SELL", "1", "21470", "21490", "21430.25", "--breakeven", "15")
    assert run(*typed).code == 0
    order = Order.objects.get(role="entry")
    assert (order.stop_price, order.stop_ticks, order.target_ticks, order.breakeven_ticks) == (D(21470), 80, 159, 60)
    assert resting(venue) == [("SELL", 1, D(21470))]


def test_a_denied_order_tells_each_rule_and_sends_nothing(venue, run):
    Account.objects.update(trading_state="halted", max_lots=D("0.1"))
    ran = run("trade", "MNQ", "BUY", "3", "--sl-ticks", "40")
    assert ran.code == 1
    assert ran.error.startswith("denied: The account is halted")
    assert "trading state" in ran.out
    assert "lots" in ran.out
    assert Decision.objects.get().outcome == "denied"
    assert not Order.objects.exists()
    assert venue.ledger.in_flight() == []


def test_protect_moves_the_stop_and_places_the_target(venue, run):
    run("trade", "MNQ", "SELL", "2", "--sl-ticks", "80")
    assert run("protect", "MNQ", "--sl", "21490", "--tp", "21460").code == 0
    assert resting(venue) == [("BUY", 2, D(21460)), ("BUY", 2, D(21490))]
    ran = run("protect", "MNQ", "--sl", "21475")
    assert (ran.code, ran.error) == (2, "--sl: 21,475.00 is on the wrong side; it must lie above 21,480.00")


def test_the_stop_of_an_open_position_is_not_cancelled(venue, run):
    run("trade", "MNQ", "BUY", "1", "--sl-ticks", "80")
    stop = Order.objects.get(role="stop")
    ran = run("cancel", str(stop.pk))
    sentence = f"ORDER: #{stop.pk} is the stop of an open position and stays: move it, or close the position"
    assert (ran.code, ran.error) == (1, sentence)
    ran = run("cancel", "--all")
    assert (ran.code, ran.out) == (0, "PRAC-V2-1-1 has no order to cancel\n")
    assert len(resting(venue)) == 1


def test_close_takes_a_part_then_all_and_leaves_no_order(venue, run):
    run("trade", "MNQ", "BUY", "3", "--sl-ticks", "80", "--tp", "21600")
    assert run("close", "MNQ", "1").code == 0
    assert run("positions", "--json").document[0]["quantity"] == 2
    assert run("close", "MNQ", "3").error == "QTY: 3 is more than the 2 that are open; write 1 to 2, or leave it out"
    assert run("close", "MNQ").code == 0
    assert venue.ledger.in_flight() == []
    assert run("positions").out == "PRAC-V2-1-1 is flat\n"
    assert [trade["quantity"] for trade in run("trades", "--json").document] == [1, 2]


@pytest.mark.parametrize("typed", [("flatten", "--yes"), ("flatten", "MNQ", "--yes")])
def test_flatten_returns_when_nothing_is_open_at_the_venue(venue, run, typed):
    run("trade", "MNQ", "BUY", "2", "--sl-ticks", "80")
    run("trade", "MNQ", "SELL", "1", "--limit", "21500", "--sl-ticks", "40")
    ran = run(*typed)
    assert (ran.code, ran.error) == (0, "")
    assert venue.ledger.in_flight() == []
    assert not Position.objects.exclude(quantity=0, broker_quantity=0).exists()
    blocked = Account.objects.get().trading_state != "active"
    assert blocked == (len(typed) == 2)


def test_flatten_without_a_terminal_needs_yes(venue, run, monkeypatch):
    ran = run("flatten")
    assert (ran.code, ran.error) == (
        2,
        "--yes: there is no terminal to ask at; add --yes to do it without a question",
    )
    assert Account.objects.get().flatten_requested_at is None


def test_halt_blocks_and_resume_allows(venue, run):
    assert run("halt", "news", "at", "14:00").out == "PRAC-V2-1-1 is halted: news at 14:00\n"
    assert run("trade", "MNQ", "BUY", "1", "--sl-ticks", "40").code == 1
    assert run("resume").out == "PRAC-V2-1-1 is active\n"
    assert run("resume").out == "PRAC-V2-1-1 is active already\n"
    assert run("trade", "MNQ", "BUY", "1", "--sl-ticks", "40").code == 0


def test_quote_history_and_balance_ask_the_venue(venue, run):
    quote = run("quote", "MNQ", "--json").document
    assert (quote["price"], quote["age_seconds"] < 120) == ("21480.00", True)
    rows = run("history", "MNQ", "5m", "3", "--json").document
    assert [row["volume"] for row in rows] == [500, 500, 500]
    assert {row["high"] for row in rows} == {"21480.25"}
    balance = run("balance", "--json").document
    assert (balance["balance"], balance["fresh"], balance["open_profit"]) == ("150000.00", True, "0.00")


def test_reconcile_finds_what_was_done_behind_our_back(venue, run):
    run("trade", "MNQ", "BUY", "1", "--sl-ticks", "80")
    assert run("reconcile").out == "PRAC-V2-1-1: our rows agree with the venue\n"
    account, contract = Account.objects.select_related("login").get(), Contract.objects.get(symbol="MNQ", active=True)
    by_hand = PlaceOrder(
        account_id=account.broker_account_id,
        contract_id=contract.broker_contract_id,
        tag="platform",
        side=Side.SELL,
        type=OrderType.MARKET,
        quantity=1,
    )
    venues.connect(account.login).place(by_hand)
    ran = run("reconcile", "--json")
    assert (ran.code, ran.document["differences"]) == (0, ["1 fill(s) were not booked"])
    assert run("positions").out == "PRAC-V2-1-1 is flat\n"
    assert "external" in [order["role"] for order in run("orders", "--all", "--json").document]


def test_a_strategy_is_started_and_stopped_unless_the_environment_says_otherwise(venue, run, monkeypatch):
    strategies.sync(now=now())
    ran = run("strategies", "stop", "overnight", "--json")
    assert (ran.code, [(row["strategy"], row["enabled"]) for row in ran.document]) == (0, [("overnight_range", False)])
    assert run("strategies", "start", "overnight_range", "--json").document[0]["enabled"] is True
    monkeypatch.setenv("OVERNIGHT_ENABLED", "true")
    ran = run("strategies", "stop", "overnight_range")
    assert (ran.code, ran.error) == (
        1,
        "NAME: overnight_range is set by OVERNIGHT_ENABLED=true; change it there",
    )
    assert Strategy.objects.get(name="overnight_range").enabled


def test_why_tells_strategies_and_what_was_asked_by_hand(venue, run):
    strategies.sync(now=now())
    run("halt")
    run("trade", "MNQ", "BUY", "1", "--sl-ticks", "80")
    shown = run("why").out.splitlines()
    assert any(line.startswith("overnight_range: ") for line in shown)
    (by_hand,) = [line for line in shown if "denied on PRAC-V2-1-1: The account is halted" in line]
    assert by_hand.startswith(f"{getpass.getuser()}: 10:0")
    assert [line.split()[:4] for line in shown if "reconciled" in line] == [["PRAC-V2-1-1", "reconciled", "yes", "yes"]]
    assert run("why", "2026-11-18", "--json").document["session"] == "2026-11-18"
    assert run("why", "overnight_range", "2026-11-22").out.startswith("2026-11-22 is not traded")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1)])
def test_flatten_asks_once_on_a_terminal(venue, run, monkeypatch, answer, code):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    ran = run("flatten", "MNQ")
    assert (ran.code, ran.error) == (code, "" if code == 0 else "nothing was done: the answer was no")
    assert ran.notes.startswith("Cancel the orders and close the positions of ")


def test_accounts_are_read_from_the_venue(venue, run):
    Account.objects.update(can_trade=False)
    ran = run("accounts", "--refresh", "--json")
    assert (ran.notes, [row["can_trade"] for row in ran.document]) == ("paper: 1 account(s)\n", [True])
