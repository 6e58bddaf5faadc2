from __future__ import annotations

from datetime import UTC, datetime

import pytest

from market.bars import epoch
from tests.factories import NOW
from tests.tradingbot.browsing import words
from tests.tradingbot.days import TODAY

PAGE = f"/chart/MNQ/{TODAY}/"
MINUTE = 60


def test_a_stranger_is_sent_to_the_login(client, db):
    for page in ("/chart/", PAGE, f"{PAGE}data"):
        response = client.get(page)
        assert (response.status_code, response["Location"].split("?")[0]) == (302, "/admin/login/")


def test_the_chart_opens_on_the_newest_day(panel, day):
    assert panel.get("/chart/")["Location"] == PAGE


def test_the_page_names_contract_and_day_and_credits_the_library(panel, day):
    text = words(panel.get(PAGE))
    assert f"{day.contract.name}, session of Wed 18 Nov 2026" in text
    assert "TradingView Lightweight Charts™" in text
    assert panel.get("/chart/MNQ/").status_code == 200


def test_the_page_asks_no_other_server_and_has_no_data_in_scripts(panel, day):
    content = panel.get(PAGE).content.decode()
    assert 'src="https://' not in content
    assert 'href="https://' not in content.replace('href="https://www.tradingview.com/"', "")
    assert "20001" not in content


def test_an_unknown_product_says_so(panel, db):
    assert "No contract XYZ is known" in words(panel.get(f"/chart/XYZ/{TODAY}/"))
    assert panel.get(f"/chart/XYZ/{TODAY}/data").status_code == 404


@pytest.mark.parametrize("text", ["2026-02-30", "today", "2026-1-1"])
def test_an_impossible_date_is_no_page(panel, day, text):
    assert panel.get(f"/chart/MNQ/{text}/").status_code == 404


def test_bars_come_in_points(panel, day):
    drawn = panel.get(f"{PAGE}data").json()
    assert (drawn["decimals"], drawn["tick"], drawn["running"]) == (2, 0.25, True)
    assert len(drawn["bars"]) == 920  # 18:00 to 09:20
    assert drawn["bars"][0] == [epoch(datetime(2026, 11, 17, 23, tzinfo=UTC)), 20002.5, 20003.0, 20002.0, 20002.5, 1]
    assert drawn["new_york"] == -5 * 3600


def test_lines_live_as_long_as_what_they_show(panel, day):
    lines = panel.get(f"{PAGE}data").json()["lines"]
    opened, now = epoch(datetime(2026, 11, 17, 23, tzinfo=UTC)), epoch(NOW)
    found = {(line["kind"], line["name"], line["price"], line["from"] - now, line["until"] - now) for line in lines}
    assert found == {
        ("range", "overnight high", 20001.0, opened - now, 0),
        ("range", "overnight low", 19990.0, opened - now, 0),
        ("zone", "zone above near", 20040.0, opened - now, 0),
        ("zone", "zone above far", 20060.0, opened - now, 0),
        ("entry", "entry buy 2", 20001.25, -10 * MINUTE, 0),
        ("stop", "stop sell 2", 19981.25, -10 * MINUTE, -3 * MINUTE),  # until it went to the entry
        ("stop", "stop sell 2", 20001.25, -3 * MINUTE, 0),
        ("target", "target sell 2", 20041.25, -10 * MINUTE, 0),
    }


def test_fills_are_marked(panel, day):
    assert panel.get(f"{PAGE}data").json()["fills"][0] == {
        "time": epoch(NOW) - 10 * MINUTE,
        "side": "buy",
        "price": 20001.25,
        "text": "+2 at 20,001.25",
    }


def test_the_data_takes_few_queries(panel, day, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        panel.get(f"{PAGE}data")


def test_the_library_is_ours_to_serve_and_kept_by_browsers(client):
    response = client.get("/chart/lightweight-charts-0.2.0.js")
    assert response["Content-Type"].startswith("text/javascript")
    assert "immutable" in response["Cache-Control"]
    assert b"TradingView Lightweight Charts" in response.content[:200]
