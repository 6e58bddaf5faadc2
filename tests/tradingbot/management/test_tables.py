from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest

from tradingbot.management.commands.backtest import groups
from tradingbot.management.commands.optimise import parts
from tradingbot.management.tables import Money, Price, Table, plain, render, text
from tradingbot.models import Contract

MNQ = Contract(symbol="MNQ", tick_size=D("0.250000000"), tick_value=D("0.5"))
AT = datetime(2026, 11, 18, 14, 30, 2, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown", "in_json"),
    [
        (Money(D("1234.5")), "$1,234.50", "1234.50"),
        (Money(D("1234.5"), signed=True), "+$1,234.50", "1234.50"),
        (Money(D(-80), signed=True), "-$80.00", "-80.00"),
        (Money(D(0), signed=True), "$0.00", "0.00"),
        (Price(D("21480.250000000"), MNQ), "21,480.25", "21480.25"),
        (D("15.0"), "15", "15"),
        (D("1E+2"), "100", "100"),
        (AT, "2026-11-18 09:30:02 ET", "2026-11-18T14:30:02.000500Z"),
        (date(2026, 11, 18), "2026-11-18", "2026-11-18"),
        (True, "yes", True),
        (None, "–", None),
        (3, "3", 3),
    ],
)
def test_a_value_reads_well_for_people_and_exactly_for_scripts(value, shown, in_json):
    assert text(value) == shown
    assert json.loads(json.dumps(value, default=plain)) == in_json


def test_what_has_no_exact_json_form_is_an_error():
    for value in (object(), datetime(2026, 11, 18)):
        with pytest.raises(TypeError):
            plain(value)


def test_a_table_in_a_pipe_is_plain_columns_whatever_the_length():
    rows = [
        {"id": 1, "contract": "MNQZ6", "net": Money(D("12.5"), signed=True), "note": "x" * 300},
        {"id": 12, "contract": "ESZ6", "net": None, "note": None},
    ]
    shown = render(Table(rows, ("id", "contract", "net", "note"), ""), terminal=False, color=False, width=40)
    assert shown.splitlines() == [
        "id  contract      net  note",
        f" 1  MNQZ6     +$12.50  {'x' * 300}",
        "12  ESZ6            –  –",
    ]


def test_a_table_without_rows_is_a_sentence():
    assert render(Table([], ("id",), "nothing here"), terminal=True, color=True, width=80) == "nothing here\n"


def test_markup_in_a_value_is_text():
    shown = render({"reason": "[red]halt[/red] :warning:"}, terminal=False, color=False, width=80)
    assert shown == "reason  [red]halt[/red] :warning:\n"


def test_a_terminal_gets_its_width_and_colours():
    rows = [{"net": Money(D(-5), signed=True), "note": "word " * 40}]
    shown = render(Table(rows, ("net", "note"), ""), terminal=True, color=True, width=60)
    assert "\x1b[31m-$5.00" in shown


def test_nothing_is_cut_off_on_a_narrow_terminal():
    rows = [{"id": 3400000001, "price": Price(D("21480.25"), MNQ), "note": "word " * 20}]
    shown = render(Table(rows, ("id", "price", "note"), ""), terminal=True, color=False, width=20)
    assert "3400000001   21,480.25   word word word" in shown
    assert shown.count("word") == 20


def test_the_groups_of_a_backtest_have_dollars_and_percentages():
    one = {"name": "Monday", "trades": 26, "net": -1234.5, "win_rate": 0.1154, "expectancy": 7.5}
    _, table = groups({"weekday": [one]})
    told = render(table, terminal=False, color=False, width=80)
    assert "Monday      26  -$1,234.50     11.5%      +$7.50" in told


def test_a_search_has_dollars_two_decimals_and_words():
    trial = {"values": {"stop_atr": "2"}, "score": -1.2305, "net": -2669.16, "trades": 101}
    window = {"tested": ["2026-07-28", "2026-08-24"], "values": None, "score": None, "tested_score": None}
    chosen = {"name": "stop_atr", "values": ["2", "2", "1"], "spread": 0.2, "common": 0.67}
    document = {
        "sessions": ["2026-05-05", "2026-10-19", 120], "held_out": None, "firm": None, "evaluated": 6, "not_judged": 0,
        "objective": "sharpe", "best": [trial], "why_none": None,
        "walk_forward": {
            "windows": [window], "net": 12.3, "trades": 58, "efficiency": -4.0613, "stability": [chosen],
        },
        "held_out_result": {**trial, "net": 1200.0, "score": 0.5},
    }  # fmt: skip
    told = "".join(render(part, terminal=False, color=False, width=80) for part in parts(document, ["stop_atr"]))
    assert "2         -1.23  -$2,669.16     101" in told
    assert "2026-07-28  2026-08-24  –               –       –" in told
    assert "walked forward, net  +$12.30" in told
    assert "efficiency           -4.06" in told
    assert "stop_atr   2 in 2 of 3 windows, the others some way off" in told
    assert "held out, looked at now: net +$1,200.00 in 101 trades, sharpe 0.50" in told
