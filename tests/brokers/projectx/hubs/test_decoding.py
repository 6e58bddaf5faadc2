"""Events as the venue sends them, and as it should not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from brokers.base import AccountReport, FillReport, OrderReport, ReadFailed
from brokers.projectx.hubs import Ages, MarketDecoder, MarketTrade, PositionEvent, Quote, decode, hub_url
from brokers.projectx.hubs.market import Depth, depths, trades
from market.orders import OrderStatus, OrderType, Side

MNQ = "CON.F.US.MNQ.Z26"
ORDER = (
    '{"id":3400000001,"accountId":1001,"contractId":"CON.F.US.MNQ.Z26","symbolId":"F.US.MNQ",'
    '"creationTimestamp":"2026-10-01T14:30:00.1234567+00:00","updateTimestamp":"2026-10-01T14:30:00.1310002+00:00",'
    '"status":2,"type":2,"side":0,"size":1,"fillVolume":1,"filledPrice":24500.25,"customTag":"a1"}'
)
POSITION = (
    '{"id":800000001,"accountId":1001,"contractId":"CON.F.US.MNQ.Z26","contractDisplayName":"MNQZ26",'
    '"creationTimestamp":"2026-10-01T14:30:00.131+00:00","type":%d,"size":%d,"averagePrice":24500.25}'
)
TRADE = (
    '{"id":3000000001,"accountId":1001,"contractId":"CON.F.US.MNQ.Z26",'
    '"creationTimestamp":"2026-10-01T14:30:00.131+00:00","price":24500.25,"fees":0.36,"commissions":0.25,"side":0,'
    '"size":1,"voided":false,"orderId":3400000001}'
)
ACCOUNT = '{"id":1001,"name":"PRAC-V2-1-1","balance":149999.39,"canTrade":true,"isVisible":true,"simulated":true}'
TARGETS = {
    "GatewayUserOrder": ORDER,
    "GatewayUserTrade": TRADE,
    "GatewayUserPosition": POSITION % (1, 1),
    "GatewayUserAccount": ACCOUNT,
}


def raws(*bodies: str) -> list[Raw]:
    return [Raw(body.encode()) for body in bodies]


def wrapped(body: str, action: int = 1) -> list[Raw]:
    return raws(f'{{"action":{action},"data":{body}}}')


def test_an_order():
    assert decode("GatewayUserOrder", wrapped(ORDER)) == OrderReport(
        id=3400000001,
        account_id=1001,
        contract_id=MNQ,
        created_at=datetime(2026, 10, 1, 14, 30, 0, 123457, UTC),
        updated_at=datetime(2026, 10, 1, 14, 30, 0, 131000, UTC),
        status=OrderStatus.FILLED,
        type=OrderType.MARKET,
        side=Side.BUY,
        quantity=1,
        filled=1,
        filled_price=D("24500.25"),
        tag="a1",
    )


def test_a_trade():
    found = decode("GatewayUserTrade", wrapped(TRADE, action=0))
    assert isinstance(found, FillReport)
    assert (found.id, found.order_id, found.price, found.fees, found.commissions) == (
        3000000001,
        3400000001,
        D("24500.25"),
        D("0.36"),
        D("0.25"),
    )
    assert found.profit is None
    assert found.at == datetime(2026, 10, 1, 14, 30, 0, 131000, UTC)


@pytest.mark.parametrize(("kind", "size", "quantity"), [(1, 2, 2), (2, 3, -3), (0, 0, 0)])
def test_a_position_is_signed_and_flat_is_zero(kind: int, size: int, quantity: int):
    found = decode("GatewayUserPosition", wrapped(POSITION % (kind, size), action=2))
    assert found == PositionEvent(1001, MNQ, quantity, D("24500.25"))


def test_an_account():
    assert decode("GatewayUserAccount", wrapped(ACCOUNT)) == AccountReport(
        1001, "PRAC-V2-1-1", D("149999.39"), can_trade=True, visible=True, simulated=True
    )


@pytest.mark.parametrize("target", TARGETS)
def test_the_bare_form_says_the_same_as_the_wrapped_one(target: str):
    assert decode(target, raws(TARGETS[target])) == decode(target, wrapped(TARGETS[target]))


def test_an_unknown_status_is_kept_as_unknown():
    found = decode("GatewayUserOrder", wrapped(ORDER.replace('"status":2', '"status":17')))
    assert isinstance(found, OrderReport)
    assert found.status is None


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("GatewayUserTrade", []),
        ("GatewayUserTrade", raws(TRADE, TRADE)),
        ("GatewayUserTrade", raws("null")),
        ("GatewayUserTrade", raws("[]")),
        ("GatewayUserTrade", wrapped("null")),
        ("GatewayUserTrade", wrapped(TRADE.replace('"size":1', '"size":0'))),
        ("GatewayUserTrade", wrapped(TRADE.replace('"size":1', '"size":"1"'))),
        ("GatewayUserTrade", wrapped(TRADE.replace('"price":24500.25', '"price":"NaN"'))),
        ("GatewayUserTrade", wrapped(TRADE.replace('"orderId":3400000001', '"order":1'))),
        ("GatewayUserTrade", wrapped(TRADE.replace('"side":0', '"side":2'))),
        ("GatewayUserTrade", wrapped(TRADE.replace("+00:00", ""))),
        ("GatewayUserOrder", wrapped(ORDER.replace('"id":3400000001', '"id":-1'))),
        ("GatewayUserPosition", wrapped(POSITION % (0, 4))),
        ("GatewaySomethingNew", raws("{}")),
    ],
)
def test_what_cannot_be_is_a_failed_read(target: str, arguments: list[Raw]):
    with pytest.raises(ReadFailed):
        decode(target, arguments)


@given(
    st.sampled_from(sorted(TARGETS)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda children: st.lists(children) | st.dictionaries(st.text(), children),
        max_leaves=6,
    ),
)
def test_no_json_makes_it_fail_in_another_way(target: str, value: object):
    with pytest.raises(ReadFailed):
        decode(target, [Raw(json.dumps(value).encode())])


def quote(**fields: object) -> list[Raw]:
    return raws(json.dumps(MNQ), json.dumps(fields))


def test_a_quote_is_put_together_from_what_changed():
    decoder = MarketDecoder()
    first = decoder.quote(
        quote(symbol="F.US.MNQ", lastPrice=24500.25, bestBid=24500.0, bestAsk=24500.5, open=24400, volume=7,
              lastUpdated="2026-10-01T14:30:00.4347534+00:00", timestamp="2026-10-01T14:30:00.348+00:00")
    )  # fmt: skip
    assert first == Quote(
        MNQ,
        datetime(2026, 10, 1, 14, 30, 0, 434753, UTC),
        D("24500.25"),
        D("24500.0"),
        D("24500.5"),
        D(24400),
        volume=7,
    )
    second = decoder.quote(quote(bestBid=24500.25, lastPrice=None, lastUpdated="2026-10-01T14:30:01+00:00"))
    assert (second.last, second.bid, second.ask, second.volume) == (D("24500.25"), D("24500.25"), D("24500.5"), 7)
    assert second.at == datetime(2026, 10, 1, 14, 30, 1, tzinfo=UTC)


def test_a_quote_that_cannot_be_read_leaves_the_one_before():
    decoder = MarketDecoder()
    decoder.quote(quote(lastPrice=1, timestamp="2026-10-01T14:30:00+00:00"))
    for bad in (
        quote(lastPrice=True),
        quote(bestBid="NaN"),
        quote(volume=-1),
        raws(json.dumps(MNQ)),
        quote(lastUpdated="now"),
    ):
        with pytest.raises(ReadFailed):
            decoder.quote(bad)
    assert decoder.quote(quote(bestAsk=2)).last == 1


def test_a_first_quote_without_a_time_is_none():
    with pytest.raises(ReadFailed, match="no time"):
        MarketDecoder().quote(quote(lastPrice=1))


PRINT = (
    '{"symbolId":"F.US.MNQ","price":24500.25,"timestamp":"2026-10-01T14:30:00.052+00:00","type":1,"volume":3,'
    '"contractId":"CON.F.US.MNQ.Z26"}'
)


@pytest.mark.parametrize("body", [f"[{PRINT}]", PRINT, f"[null,{PRINT},null]", f" [{PRINT}]"])
def test_trades_come_as_a_list_with_nulls_or_alone(body: str):
    at = datetime(2026, 10, 1, 14, 30, 0, 52000, UTC)
    assert trades(raws(json.dumps(MNQ), body)) == [MarketTrade(MNQ, at, D("24500.25"), 3, Side.SELL)]


def test_a_trade_of_another_contract_is_refused():
    with pytest.raises(ReadFailed, match="ENQ"):
        trades(raws(json.dumps("CON.F.US.ENQ.Z26"), PRINT.replace("MNQ.Z26", "ENQ.H27")))


def test_depth_comes_alone_or_as_a_list():
    body = (
        '{"contractId":"CON.F.US.MNQ.Z26","timestamp":"2026-10-01T14:30:00.4173693+00:00","type":4,"price":24500.0,'
        '"volume":2,"currentVolume":0}'
    )
    expected = Depth(MNQ, datetime(2026, 10, 1, 14, 30, 0, 417369, UTC), 4, D("24500.0"), 2)
    assert depths(raws(json.dumps(MNQ), body)) == [expected]
    assert depths(raws(json.dumps(MNQ), f"[{body},{body}]")) == [expected, expected]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://api.topstepx.com", "https://rtc.topstepx.com/hubs/user"),
        ("https://gateway-api-demo.s2f.projectx.com/", "https://gateway-rtc-demo.s2f.projectx.com/hubs/user"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700/hubs/user"),
    ],
)
def test_where_the_hubs_are(base: str, expected: str):
    assert hub_url(base, "user") == expected


@pytest.mark.parametrize("base", ["http://api.topstepx.com", "ftp://x", "https://", "https://u@x", "https://x?token=1"])
def test_addresses_over_which_no_token_travels(base: str):
    with pytest.raises(ValueError, match=r"address|https"):
        hub_url(base, "user")


def test_a_private_network_may_be_plain():
    assert hub_url("http://venue:8700", "market", plain_http=True) == "http://venue:8700/hubs/market"


def test_ages_are_of_what_is_watched():
    ages = Ages()
    ages.watch(["a", "b"], 100)
    ages.saw("a", 104)
    ages.saw("stranger", 104)
    assert ages.silent(106, 5) == {"b"}
    assert (ages.age("a", 106), ages.age("stranger", 106)) == (2, float("inf"))
    ages.watch(["a", "c"], 106)
    assert ages.silent(110, 5) == {"a"}
    ages.restart(110)
    assert (ages.silent(112, 5), len(ages)) == (set(), 2)
