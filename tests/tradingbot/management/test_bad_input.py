"""Whatever is typed wrongly gets one line that names the field and the fix, the right exit code, and leaves no row."""

from __future__ import annotations

import pytest

from tests.tradingbot.management.conftest import NOW, make_account, make_contract, make_order
from tradingbot.models import (
    Account,
    BarDay,
    CalendarDay,
    Decision,
    Notification,
    Order,
    OrderEvent,
    Position,
    Strategy,
)

HELP = "; --help shows how it is written"
FRAMES = "1s 5s 15s 30s 1m 2m 3m 5m 10m 15m 30m 1h 2h 4h 1d 1w 1M"
NO_STOP = "--sl: a stop is required, every position has one from its first second; add --sl PRICE or --sl-ticks N"
TRADE = ("trade", "MNQ", "BUY", "1")
BRACKET = ("stop_bracket", "MNQ", "BUY", "1")


def written() -> list[object]:
    """Return everything that a command could have written or changed."""
    accounts = Account.objects.values_list("trading_state", "flatten_requested_at", "selected")
    models = (BarDay, CalendarDay, Decision, Notification, Order, OrderEvent, Position)
    return [*accounts, *Order.objects.values_list("status", "desired_price"), *(m.objects.count() for m in models)]


@pytest.fixture
def known(account, contract):
    make_order(account, contract)
    return written()


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (("trade", "MNQ", "BUY"), f"the following arguments are required: QTY{HELP}"),
        (("trade", "MNQ", "BUY", "0"), f"QTY: '0' is not a whole number of contracts from 1 to 9999{HELP}"),
        (("trade", "MNQ", "BUY", "-1"), f"QTY: '-1' is not a whole number of contracts from 1 to 9999{HELP}"),
        (("trade", "MNQ", "BUY", "1.5"), f"QTY: '1.5' is not a whole number of contracts from 1 to 9999{HELP}"),
        (("trade", "MNQ", "BUY", "٣"), f"QTY: '٣' is not a whole number of contracts from 1 to 9999{HELP}"),
        (("trade", "MNQ", "LONG", "1"), f"BUY|SELL: 'LONG' is neither BUY nor SELL{HELP}"),
        (TRADE, NO_STOP),
        ((*TRADE, "--sl", "abc"), f"--sl: 'abc' is not a number above 0: write it like 21480.25, without commas{HELP}"),
        (
            (*TRADE, "--sl", "21,480"),
            f"--sl: '21,480' is not a number above 0: write it like 21480.25, without commas{HELP}",
        ),
        ((*TRADE, "--sl", "NaN"), f"--sl: 'NaN' is not a number above 0: write it like 21480.25, without commas{HELP}"),
        (
            (*TRADE, "--sl", "1e99"),
            f"--sl: '1e99' is not a number above 0: write it like 21480.25, without commas{HELP}",
        ),
        ((*TRADE, "--sl-ticks", "0"), f"--sl-ticks: '0' is not a whole number of ticks from 1 to 100000{HELP}"),
        (
            (*TRADE, "--limit", "21480.1", "--sl-ticks", "40"),
            "--limit: 21480.1 is not on the 0.25 tick grid of MNQ: use 21,480.00 or 21,480.25",
        ),
        (
            (*TRADE, "--limit", "21480", "--sl", "21490"),
            "--sl: 21,490.00 is on the wrong side; it must lie below 21,480.00",
        ),
        ((*TRADE, "--sll", "21490"), f"unrecognized arguments: --sll 21490{HELP}"),
        (
            (*BRACKET, "21480.25", "21450", "21480.25"),
            "TP: 21,480.25 is on the wrong side; it must lie above 21,480.25",
        ),
        ((*BRACKET, "21480.25", "21490", "21540"), "SL: 21,490.00 is on the wrong side; it must lie below 21,480.25"),
        (
            (*BRACKET, "21480.3", "21450", "21540"),
            "ENTRY: 21480.3 is not on the 0.25 tick grid of MNQ: use 21,480.25 or 21,480.50",
        ),
        (
            (*BRACKET, "21480.25", "21450", "21540", "--breakeven", "15.1"),
            "--breakeven: 15.1 is not on the 0.25 tick grid of MNQ: use 15.00 or 15.25",
        ),
        (("protect", "MNQ"), "--sl: say where the stop goes, or with --tp the target"),
        (
            ("protect", "MNQ", "--tp", "21480.1"),
            "--tp: 21480.1 is not on the 0.25 tick grid of MNQ: use 21,480.00 or 21,480.25",
        ),
        (("history", "MNQ", "7m", "10"), f"TIMEFRAME: '7m' is none of {FRAMES}{HELP}"),
        (("history", "MNQ", "1m", "0"), f"N: '0' is not a whole number of bars from 1 to 20000{HELP}"),
        (("pnl", "--days", "none"), f"--days: 'none' is not a whole number of days from 1 to 3660{HELP}"),
        (("orders", "--date", "18.11.2026"), f"--date: '18.11.2026' is not a date: write it like 2026-11-18{HELP}"),
        (
            ("trades", "--from", "2026-11-20", "--to", "2026-11-16"),
            "--from: 2026-11-20 is after --to 2026-11-16; write the earlier date first",
        ),
        (("why", "overnight_range", "yesterday"), "DATE: 'yesterday' is not a date: write it like 2026-11-18"),
        (("why", "2026-13-01"), "DATE: '2026-13-01' is not a date: write it like 2026-11-18"),
        (("modify", "1", "--price", "21480.1"), "ORDER"),
        (("cancel",), "ORDER: name one order, or write --all"),
        (("cancel", "1", "--all"), "ORDER: name one order, or write --all"),
        (("accounts", "select"), "NAME: say which account becomes the default, e.g. accounts select PRAC"),
        (("strategies", "start"), "NAME: say which strategy, e.g. strategies start overnight_range"),
        (
            ("strategies", "pause"),
            f"action: invalid choice: 'pause' (choose from 'start', 'stop', 'copy', 'export', 'import'){HELP}",
        ),
        (("strategies", "copy"), "NAME: say which strategy, e.g. strategies copy overnight_range"),
        (("strategies", "import"), "FILE: say which file, e.g. strategies import strategies.yaml"),
        (("flatten",), "--yes: there is no terminal to ask at; add --yes to do it without a question"),
        (
            ("import_bars", "bars.csv", "MNQ", "--zone", "EST5"),
            f"--zone: 'EST5' is not a time zone: write it like America/New_York{HELP}",
        ),
    ],
)
def test_wrong_usage_is_one_line_with_exit_code_2(run, known, typed, error):
    if typed[0] == "modify":
        order = Order.objects.get()
        typed = (typed[0], str(order.pk), *typed[2:])
        error = "--price: 21480.1 is not on the 0.25 tick grid of MNQ: use 21,480.00 or 21,480.25"
    ran = run(*typed)
    assert (ran.code, ran.error, ran.out) == (2, error, "")
    assert written() == known


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (("quote", "MNG"), "SYMBOL: 'MNG' is not traded at paper; did you mean MNQ?"),
        (("contracts", "XX"), "SYMBOL: 'XX' is not traded at paper; there are ES, MNQ"),
        (("trade", "", "BUY", "1", "--sl-ticks", "4"), "SYMBOL: '' is not traded at paper; there are ES, MNQ"),
        (
            ("modify", "999", "--price", "21480"),
            "ORDER: PRAC-V2-1 has no order '999'; `python manage.py orders` lists them",
        ),
        (("cancel", "9" * 30), f"ORDER: PRAC-V2-1 has no order '{'9' * 30}'; `python manage.py orders` lists them"),
        (("balance", "--account", "LIVE"), "--account: no account is called 'LIVE'; there are PRAC-V2-1"),
        (("accounts", "select", "LIVE"), "--account: no account is called 'LIVE'; there are PRAC-V2-1"),
        (("strategies", "stop", "overnight"), "STRATEGY: no strategy is configured yet; `make run` makes them"),
        (("import_bars", "/none.csv", "MNQ", "--yes"), "FILE: /none.csv cannot be read (No such file or directory)"),
        (
            ("quote", "MNQ"),
            "SYMBOL: no price of MNQZ6 is known yet; start the system with `make run`, which fetches them",
        ),
    ],
)
def test_what_is_not_there_is_one_line_with_exit_code_1(run, known, typed, error):
    ran = run(*typed)
    assert (ran.code, ran.error, ran.out) == (1, error, "")
    assert written() == known


def test_an_order_that_has_ended_neither_moves_nor_ends_again(run, account, contract):
    order = make_order(account, contract, status="filled", filled=1)
    before = written()
    assert run("modify", str(order.pk), "--price", "21480").error == (
        f"ORDER: #{order.pk} is filled; only a working order can move"
    )
    assert run("cancel", f"#{order.pk}").error == f"ORDER: #{order.pk} is filled already"
    assert written() == before


def test_a_suspended_leg_points_to_its_entry(run, account, contract):
    entry = make_order(account, contract)
    leg = make_order(account, contract, role="stop", status="suspended", parent=entry, stop_ticks=None)
    assert run("cancel", leg.tag).error == f"ORDER: #{leg.pk} belongs to its entry and ends with it: cancel #{entry.pk}"


def test_an_order_of_another_account_is_not_found(run, account, contract, login):
    order = make_order(make_account(login, "50KTC-V2-2", 1002), contract)
    ran = run("cancel", str(order.pk), "--account", "PRAC")
    assert (ran.code, ran.error) == (
        1,
        f"ORDER: PRAC-V2-1 has no order '{order.pk}'; `python manage.py orders` lists them",
    )


def test_an_ambiguous_account_lists_the_candidates(run, account, login):
    make_account(login, "PRAC-V2-2", 1002)
    assert run("orders").error == (
        "--account: there are several accounts (PRAC-V2-1, PRAC-V2-2); name one, "
        "or choose the default with `python manage.py accounts select NAME`"
    )
    ran = run("orders", "--account", "prac")
    assert (ran.code, ran.error) == (
        2,
        "--account: 'prac' may be PRAC-V2-1, PRAC-V2-2; write more of the name, or its number",
    )
    assert run("orders", "--account", "1002").out == "PRAC-V2-2 has no working orders\n"
    assert run("orders", "--account", "PRAC-V2-1").code == 0


def test_without_an_account_the_way_to_one_is_named(run, login):
    ran = run("positions")
    assert (ran.code, ran.error) == (
        1,
        (
            "--account: no account is known yet; start the system with `make run`, "
            "or read them from the venue with `python manage.py accounts --refresh`"
        ),
    )


def test_a_month_that_is_no_longer_current_is_asked_for(run, account):
    make_contract("NQ", "NQU6", tick_value="5", active=False)
    assert run("quote", "NQ").error == "SYMBOL: the venue lists no current month of NQ; name one, e.g. NQU6"


def test_a_strategy_name_that_fits_several_lists_them(run, account):
    for name in ("overnight_range", "overnight_fade"):
        Strategy.objects.create(name=name, kind="overnight_range", account=account, symbol="MNQ")
    assert run("strategies", "stop", "overnight").error == (
        "STRATEGY: 'overnight' may be overnight_fade, overnight_range; write more of the name"
    )
    assert run("strategies", "stop", "overnite_range").error == (
        "STRATEGY: there is no 'overnite_range'; did you mean overnight_range or overnight_fade?"
    )


def test_a_malformed_line_refuses_the_whole_file(run, account, contract, tmp_path):
    file = tmp_path / "bars.csv"
    file.write_text(
        "timestamp,open,high,low,close,volume\n"
        "2026-11-17T15:00:00Z,21480,21481,21479,21480,5\n"
        "2026-11-17T15:01:00Z,21480,21481,21479,21480.1,5\n"
        "2026-11-17T15:02:00Z,21480,21470,21479,21480,5\n"
    )
    ran = run("import_bars", str(file), "MNQ", "--yes")
    assert ran.code == 1
    assert ran.error == (
        "FILE: 2 problem(s), nothing was written; line 3: MNQ: 21480.1 is not on the tick grid of 0.250000000"
    ).replace("0.250000000", "0.25")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["2", "line", "3", "4"]
    assert not BarDay.objects.exists()
    assert not CalendarDay.objects.exists()


def test_a_venue_that_does_not_answer_is_one_line(run, account, contract):
    ran = run("reconcile")
    assert ran.code == 1
    assert ran.error.startswith("the venue does not answer (")
    assert ran.error.endswith("), nothing was sent: start it with `make run`, or try again")
    assert "\n" not in ran.error


def test_the_last_known_balance_is_marked_when_the_venue_does_not_answer(run, account):
    ran = run("balance", "--json")
    assert (ran.code, ran.document["fresh"], ran.document["balance"]) == (0, False, "150000.00")
    assert ran.notes.startswith("the venue could not be read (")


def test_now_is_the_clocks(run, account, contract):
    make_order(account, contract, session_date=NOW.date())
    assert run("orders", "--all", "--json").document[0]["at"] == "2026-11-18T15:00:00Z"
