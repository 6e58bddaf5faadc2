from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from brokers.simulated import hours
from brokers.simulated.generator import GeneratedMarket
from brokers.simulated.products import listed, product
from brokers.simulated.replay import ReplayedMarket, read

HEADER = "timestamp,open,high,low,close,volume\n"
FIRST = "2025-01-15T14:30:00Z,21400.00,21410.25,21395.5,21400.75,1200\n"
SECOND = "2025-01-15T14:31:00Z,21400.75,21401,21399,21400,0\n"


def test_bars_of_a_file_trade_under_the_symbol_it_was_given_for(tmp_path):
    file = tmp_path / "NQ.csv.gz"
    file.write_bytes(gzip.compress((HEADER + FIRST + SECOND).encode()))
    market = ReplayedMarket({"MNQ": file}, GeneratedMarket(7))
    session = hours.session_at(datetime(2025, 1, 15, 15, tzinfo=UTC))
    assert session is not None
    bars = market.minutes(listed("CON.F.US.MNQ.H25"), session)
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars] == [
        (85600, 85641, 85582, 85603, 1200),
        (85603, 85604, 85596, 85600, 0),
    ]
    assert len(market.minutes(listed("CON.F.US.MES.H25"), session)) > 1000
    assert market.covers() == {
        "MNQ": (datetime(2025, 1, 15, 14, 30, tzinfo=UTC), datetime(2025, 1, 15, 14, 31, tzinfo=UTC))
    }


@pytest.mark.parametrize(("text", "problem"), [
    ("", "line 1: the columns must be timestamp,open,high,low,close,volume, not None"),
    ("time,open\n", "line 1: the columns must be"),
    (HEADER, "no bars"),
    (HEADER + FIRST + FIRST, "line 3: 2025-01-15 14:30:00+00:00 does not come after the line before it"),
    (HEADER + SECOND + FIRST, "line 3: 2025-01-15 14:30:00+00:00 does not come after"),
    (HEADER + FIRST.replace("21400.75", "21400.7"), "line 2: close 21400.7 is not a price on the tick of MNQ, 0.25"),
    (HEADER + FIRST.replace("21400.75", "x"), "line 2: close 'x' is not a price"),
    (HEADER + FIRST.replace("21400.75", "NaN"), "line 2: close NaN is not a price on the tick"),
    (HEADER + FIRST.replace("21400.75", "-21400.75"), "line 2: close -21400.75 is not a price on the tick"),
    (HEADER + FIRST.replace("21410.25", "21400"), "line 2: not a bar"),
    (HEADER + FIRST.replace("Z", ""), "line 2: timestamp '2025-01-15T14:30:00' must be the start of a minute"),
    (HEADER + FIRST.replace(":00Z", ":30Z"), "line 2: timestamp '2025-01-15T14:30:30Z' must be the start"),
    (HEADER + FIRST.replace("2025-01-15", "yesterday"), "line 2: Invalid isoformat string"),
    (HEADER + FIRST.replace("1200", "many"), "line 2: invalid literal for int()"),
    (HEADER + FIRST.replace("1200", "-1"), "line 2: volume -1 is negative"),
    (HEADER + FIRST + "2025-01-15T14:31:00Z,1\n", "line 3: 6 values expected"),
    (HEADER + FIRST.replace("\n", ",7\n"), "line 2: 6 values expected"),
])  # fmt: skip
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, problem):
    file = tmp_path / "bars.csv"
    file.write_text(text)
    with pytest.raises(ValueError) as error:  # noqa: PT011  the text is compared below
        read(file, product("MNQ"))
    assert str(error.value).startswith(str(file))
    assert problem in str(error.value)


def test_a_missing_file_and_one_that_is_not_gzip_are_refused(tmp_path):
    (tmp_path / "bars.csv.gz").write_text(HEADER)
    with pytest.raises(ValueError, match="No such file"):
        read(tmp_path / "none.csv", product("MNQ"))
    with pytest.raises(ValueError, match="Not a gzipped file"):
        read(tmp_path / "bars.csv.gz", product("MNQ"))
    with pytest.raises(ValueError, match="unknown symbol 'MNX'"):
        ReplayedMarket({"MNX": tmp_path}, GeneratedMarket(7))
