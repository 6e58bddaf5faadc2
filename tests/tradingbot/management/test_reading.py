"""What the commands that only look show of our rows, to a person and to a script."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D

import pytest

from market.bars import Bar, Bars, epoch
from tests.factories import calendar_days
from tests.tradingbot.management.conftest import NOW, make_account, make_order
from tradingbot.models import Account, BarDay, Fill, Position, Strategy, Trade
from tradingbot.operations import bars


@pytest.fixture
def priced(contract):
    """The newest bar of MNQ closed a minute ago at 21,490.00."""
    calendar_days()
    bar = Bar(epoch(NOW - timedelta(minutes=2)), 85920, 85964, 85916, 85960, 7)
    until = NOW - timedelta(minutes=1)
    bars.record(contract, NOW.date(), Bars.of([bar]), source="test", covered_until=until, now=NOW)
    return contract


def trade(account, contract, day: date, net: str, **values) -> Trade:
    fills = [
        Fill.objects.create(
            account=account,
            contract=contract,
            broker_trade_id=Fill.objects.count(),
            broker_order_id=1,
            session_date=day,
            at=NOW,
            side=side,
            quantity=2,
            price=21480,
            fees=0,
            commissions=0,
        )
        for side in (1, -1)
    ]
    figures = {"gross": D(net) + 2, "fees": D("1.50"), "commissions": D("0.50"), "net": D(net)}
    return Trade.objects.create(
        account=account,
        contract=contract,
        entry_fill=fills[0],
        exit_fill=fills[1],
        session_date=day,
        direction=1,
        quantity=2,
        entry_price=D("21480.25"),
        exit_price=D("21490.5"),
        entered_at=NOW,
        exited_at=NOW + timedelta(minutes=5),
        exit_role="target",
        **figures,
        **values,
    )


def test_accounts_are_listed_and_one_becomes_the_default(run, account, login):
    make_account(login, "50KTC-V2-2", 1002, stage="combine", balance=None)
    assert run("accounts", "select", "50k").out.splitlines() == [
        "account     number  login  stage     state       balance  day profit  default",
        "50KTC-V2-2    1002  paper  combine   active            –           –  yes",
        "PRAC-V2-1     1001  paper  practice  active  $150,000.00     +$99.50  no",
    ]
    assert run("orders").out == "50KTC-V2-2 has no working orders\n"
    run("accounts", "select", "PRAC")
    assert list(Account.objects.filter(selected=True)) == [account]
    assert [row["account"] for row in run("accounts", "--account", "50", "--json").document] == ["50KTC-V2-2"]


def test_balance_shows_the_room_to_each_limit(run, account, priced):
    # equity 150,000 + 20 = 150,020; floor 150,000 - 4,500; day: 99.50 + 20 made, 1,000 may be lost
    Account.objects.update(start_balance=150_000, highest_eod_balance=150_000, daily_loss_limit=1000)
    Position.objects.create(account=account, contract=priced, quantity=1, broker_quantity=1, average_price=21480)
    shown = run("balance", "--json").document
    assert {name: shown[name] for name in ("equity", "open_profit", "realised_today")} == {
        "equity": "150020.00",
        "open_profit": "20.00",
        "realised_today": "99.50",
    }
    assert (shown["maximum_loss_floor"], shown["room_to_floor"]) == ("145500.00", "4520.00")
    assert shown["room_to_daily_limit"] == "1119.50"


def test_pnl_adds_up_by_session(run, account, contract):
    trade(account, contract, date(2026, 11, 18), "18.50")
    trade(account, contract, date(2026, 11, 18), "-40.00")
    trade(account, contract, date(2026, 11, 12), "7.00")
    trade(account, contract, date(2026, 11, 2), "1000.00")
    shown = run("pnl", "--json").document
    assert shown["today"] == {
        "account": "PRAC-V2-1",
        "session": "2026-11-18",
        "trades": 2,
        "realised": "-21.50",
        "balance_change": "99.50",
        "open": "0.00",
    }
    assert [(row["session"], row["won"], row["lost"], row["costs"], row["net"]) for row in shown["days"]] == [
        ("2026-11-18", 1, 1, "4.00", "-21.50"),
        ("2026-11-12", 1, 0, "2.00", "7.00"),
    ]
    assert len(run("pnl", "--days", "30", "--json").document["days"]) == 3


def test_positions_show_profit_and_what_protects_them(run, account, priced):
    Position.objects.create(account=account, contract=priced, quantity=-2, broker_quantity=-2, average_price=21480)
    assert run("positions").out.splitlines() == [
        "contract  direction  quantity  average price      price  open profit  stop  target  note",
        "MNQZ6     short             2      21,480.00  21,490.00      -$40.00  –     –       NO FULL STOP",
    ]
    make_order(account, priced, role="stop", type="stop", stop_price=D(21500), quantity=2, limit_price=None)
    Position.objects.update(broker_quantity=-1, differs_since=NOW)
    (row,) = run("positions", "--json").document
    assert (row["stop"], row["protected"], row["note"]) == ("21500.00", True, "the venue says -1")


def test_a_stop_on_the_other_side_protects_nothing(run, account, priced):
    Position.objects.create(account=account, contract=priced, quantity=2, broker_quantity=2, average_price=21480)
    make_order(account, priced, role="stop", type="stop", side=1, stop_price=D(21500), quantity=2)
    assert run("positions", "--json").document[0]["protected"] is False
    make_order(account, priced, role="stop", type="stop", side=-1, stop_price=D(21470), quantity=2)
    assert run("positions", "--json").document[0]["protected"] is True


def test_orders_show_what_works_all_of_today_or_another_day(run, account, contract):
    working = make_order(account, contract)
    ended = make_order(account, contract, status="cancelled", side=-1, reason="cancelled by trader")
    older = make_order(account, contract, status="filled", filled=1, session_date=date(2026, 11, 17))
    assert [line.split() for line in run("orders").out.splitlines()] == [
        ["id", "at", "contract", "role", "side", "quantity", "type", "price", "filled", "status", "note"],
        [
            *(str(working.pk), "2026-11-18", "10:00:00", "ET", "MNQZ6", "entry", "buy", "1", "limit", "21,480.25"),
            *("0", "working", "stop", "10.00", "away"),
        ],
    ]
    assert [row["id"] for row in run("orders", "--all", "--json").document] == [working.pk, ended.pk]
    assert [row["id"] for row in run("orders", "--date", "2026-11-17", "--json").document] == [older.pk]


def test_trades_of_a_span_with_their_sum(run, account, contract):
    trade(account, contract, date(2026, 11, 17), "18.50")
    trade(account, contract, date(2026, 11, 18), "-40.00")
    shown = run("trades", "--from", "2026-11-17").out.splitlines()
    assert shown[1].split() == [
        *("2026-11-18", "10:05:00", "ET", "MNQZ6", "long", "2", "21,480.25", "21,490.50", "target", "–", "+$18.50", "–")
    ]
    assert shown[-1] == "2 trade(s) from 2026-11-17 to 2026-11-18, net -$21.50"
    assert run("trades", "--from", "2026-11-10", "--to", "2026-11-12").out == (
        "PRAC-V2-1 closed no trade from 2026-11-10 to 2026-11-12\n"
    )
    assert [row["net"] for row in run("trades", "--json").document] == ["-40.00"]


def test_contracts_show_their_ticks(run, contract):
    assert run("contracts").out.splitlines() == [
        "symbol  contract  description  tick size  tick value  point value  current",
        "ES      ESZ6      –                 0.25        12.5       $50.00  yes",
        "MNQ     MNQZ6     –                 0.25         0.5        $2.00  yes",
    ]
    assert [row["id"] for row in run("contracts", "mnq", "--json").document] == ["CON.F.US.MNQ.Z6"]


def test_quote_tells_the_age_and_that_the_venue_is_silent(run, priced):
    ran = run("quote", "MNQ")
    assert ran.out.splitlines() == [
        "contract  MNQZ6",
        "price     21,490.00",
        "at        2026-11-18 09:59:00 ET",
        "age       60 s",
    ]
    assert ran.notes.startswith("the venue could not be asked for a newer price (")


def test_a_good_file_is_described_then_written_once(run, account, contract, tmp_path):
    file = tmp_path / "bars.csv"
    file.write_text(
        "timestamp,open,high,low,close\n"
        "2026-11-17 10:00,21480,21481,21479,21480\n"
        "2026-11-17 10:01,21480,21482,21480,21482\n"
    )
    refused = run("import_bars", str(file), "MNQ")
    assert (refused.code, refused.error) == (
        2,
        "--yes: there is no terminal to ask at; add --yes to do it without a question",
    )
    assert "first                  2026-11-17 10:00:00 ET" in refused.out
    assert not BarDay.objects.exists()
    written = run("import_bars", str(file), "MNQ", "--yes", "--json").document
    assert (written["written"], written["new"], written["rows"], written["first"]) == (
        True,
        2,
        2,
        "2026-11-17T15:00:00Z",
    )
    assert BarDay.objects.get().count == 2
    assert run("import_bars", str(file), "MNQ", "--yes").out.endswith("0 bar(s) written\n")


def test_strategies_show_what_they_did_today(run, account, contract):
    row = Strategy.objects.create(name="range", kind="overnight_range", account=account, symbol="MNQ", enabled=True)
    trade(account, contract, NOW.date(), "18.50", strategy=row)
    (shown,) = run("strategies", "--json").document
    assert (shown["trades"], shown["net"], shown["today"]) == (1, "18.50", "not evaluated in this session")
    row.decisions.create(
        account=account,
        session_date=NOW.date(),
        at=NOW,
        outcome="denied",
        code="halted",
        sentence="The account is halted.",
    )
    assert run("strategies", "--json").document[0]["today"] == "denied: The account is halted."


def test_a_strategy_is_copied_to_the_accounts_that_can_bear_it(run, contract, account):
    Account.objects.update(start_balance=150_000, highest_eod_balance=150_000, stage="combine", size=150)
    poor = make_account(account.login, "150KTC-V2-2", 2, stage="combine", size=150, balance=D(147_000))
    Account.objects.filter(pk=poor.pk).update(start_balance=150_000, highest_eod_balance=150_000)
    make_account(account.login, "LFA-3", 3, stage="live", size=150)
    Strategy.objects.create(name="range", kind="overnight_range", account=account, symbol="MNQ", enabled=True)
    told = run("strategies", "copy", "range", "--to", "150KTC", "LFA", "--yes", "--json").document
    assert [(one["account"], one["size"], one["room"]) for one in told] == [
        ("150KTC-V2-2", 1, "33% of the original's"),
        ("LFA-3", 0, "0% of the original's"),
    ]
    assert told[1]["remark"].startswith("its stage is live")
    assert not Strategy.objects.get(account=poor).enabled
    assert run("strategies", "copy", "range").error == (
        "--to: say which accounts, e.g. strategies copy range --to 50KTC-V2-2 50KTC-V2-3"
    )
    assert run("strategies", "copy", "range", "--to", "150KTC", "--yes").code == 1


def test_strategies_are_written_to_a_file_and_read_back_from_it(run, contract, account, tmp_path):
    row = Strategy.objects.create(name="overnight_range", kind="overnight_range", account=account, symbol="MNQ")
    file = tmp_path / "strategies.yaml"
    assert run("strategies", "export", str(file)).code == 0
    assert run("strategies", "import", str(file), "--yes").out == "nothing differs from what is configured\n"
    file.write_text(file.read_text().replace("stop_atr: '2.0'", "stop_atr: 3.5"))
    asked = run("strategies", "import", str(file))
    assert (asked.code, "  stop_atr: 2.0 → 3.5" in asked.notes) == (2, True)  # nobody is there to answer
    done = run("strategies", "import", str(file), "--yes", "--json")
    assert done.document == [
        {
            "strategy": "overnight_range",
            "new": False,
            "changes": [{"name": "stop_atr", "before": "2.0", "after": "3.5"}],
        }
    ]
    row.refresh_from_db()
    assert row.typed_parameters().stop_atr == D("3.5")
    file.write_text("strategies: {overnight_range: {parameters: {stop_atr: 99}}}")
    wrong = run("strategies", "import", str(file))
    assert (wrong.code, "stop_atr: 99 is above the most allowed" in wrong.error) == (1, True)
