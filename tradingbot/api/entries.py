"""A manual order as it is asked for: every wrong value gets one sentence that names the field and the fix."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NoReturn

from rest_framework import serializers

from market.orders import OrderType, Side
from risk.requests import EntryRequest, EntrySide
from tradingbot.api.rows import PlainDecimal, SideField
from tradingbot.models import Account, Contract
from tradingbot.operations import bars

TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)


class Entry(serializers.Serializer):  # type: ignore[type-arg]
    """An entry with its stop; prices in points."""

    account = serializers.CharField(required=False, help_text="name; the default account when left out")
    symbol = serializers.CharField(max_length=16, help_text="root of the product, for example MNQ")
    side = SideField()
    quantity = serializers.IntegerField(min_value=1, max_value=1_000, help_text="contracts")
    type = serializers.ChoiceField(choices=[t.value for t in TYPES], default=OrderType.MARKET.value)
    price = PlainDecimal(
        required=False, allow_null=True, min_value=Decimal(0), help_text="limit or stop price; none for a market order"
    )
    stop_loss = PlainDecimal(help_text="price of the protective stop: required", min_value=Decimal(0))
    take_profit = PlainDecimal(required=False, allow_null=True, help_text="price of the target", min_value=Decimal(0))

    default_error_messages = {
        "no_account": "No account is called {name}; known: {known}.",
        "ambiguous": "There is no default account: name one of {known}.",
        "unknown": "The venue of {account} lists no current contract {symbol}; it lists {known}.",
        "off_tick": "{price} is not on the tick grid of {tick}; the nearest prices are {below} and {above}.",
        "not_for_market": "A market order has no price: leave it out, or set type to limit or stop.",
        "price_needed": "A {type} order needs its price.",
        "no_reference": "There is no bar of {symbol} yet, so the distance of the stop from a market entry is unknown; "
        "place a limit order with its price.",
        "wrong_side": "{price} is on the wrong side: for a {side} it must be {where} the entry at {entry}.",
        "not_ahead": "A {side} stop must lie {where} the market, which is at {market}; use a limit order for {price}.",
    }

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        account = self._account(given.get("account"))
        contract = self._contract(account, given["symbol"])
        last = bars.last_price(contract)
        reference = last[0] if last else None
        entry = self._entry_price(given, contract, reference)
        return {
            "account": account,
            "contract": contract,
            "request": EntryRequest(
                contract=contract.spec,
                quantity=given["quantity"],
                sides=(self._side(given, contract, entry),),
                reference=None if reference is None else contract.spec.ticks(reference),
                minimum_quantity=given["quantity"],
            ),
        }

    def _account(self, name: str | None) -> Account:
        accounts = list(Account.objects.filter(enabled=True).select_related("login"))
        known = ", ".join(account.name for account in accounts) or "none yet"
        if name is not None:
            found = [account for account in accounts if account.name == name]
            return found[0] if found else self._refuse("account", "no_account", name=name, known=known)
        chosen = [account for account in accounts if account.selected] or accounts
        return chosen[0] if len(chosen) == 1 else self._refuse("account", "ambiguous", known=known)

    def _contract(self, account: Account, symbol: str) -> Contract:
        listed = Contract.objects.filter(venue=account.venue, active=True)
        found = listed.filter(symbol__iexact=symbol).first()
        if found is None:
            known = ", ".join(listed.values_list("symbol", flat=True)) or "none yet"
            self._refuse("symbol", "unknown", account=account, symbol=symbol, known=known)
        return found

    def _entry_price(self, given: dict[str, Any], contract: Contract, reference: Decimal | None) -> Decimal:
        """Return the price that distances count from: the order's own, for a market order the newest."""
        price, type_, side = given.get("price"), given["type"], given["side"]
        if type_ == OrderType.MARKET:
            if price is not None:
                self._refuse("price", "not_for_market")
            if reference is None:
                self._refuse("stop_loss", "no_reference", symbol=contract.symbol)
            return reference
        if price is None:
            self._refuse("price", "price_needed", type=type_)
        self._on_tick("price", price, contract)
        if type_ == OrderType.STOP and reference is not None and (price - reference) * side <= 0:
            words = {"side": side.name.lower(), "where": _beyond(side), "price": contract.text(price)}
            self._refuse("price", "not_ahead", market=contract.text(reference), **words)
        return Decimal(price)

    def _side(self, given: dict[str, Any], contract: Contract, entry: Decimal) -> EntrySide:
        side, target = given["side"], given.get("take_profit")
        return EntrySide(
            side=side,
            type=OrderType(given["type"]),
            price=None if given["type"] == OrderType.MARKET else contract.spec.ticks(entry),
            stop_ticks=self._distance("stop_loss", given["stop_loss"], entry, contract, side.opposite, side),
            target_ticks=None if target is None else self._distance("take_profit", target, entry, contract, side, side),
        )

    def _distance(
        self, field: str, price: Decimal, entry: Decimal, contract: Contract, towards: Side, side: Side
    ) -> int:
        """Return the ticks from the entry to `price`, which must lie `towards` it."""
        ticks = (self._on_tick(field, price, contract) - contract.spec.ticks(entry)) * towards
        if ticks <= 0:
            words = {"side": side.name.lower(), "where": _beyond(towards), "entry": contract.text(entry)}
            self._refuse(field, "wrong_side", price=contract.text(price), **words)
        return ticks

    def _on_tick(self, field: str, price: Decimal, contract: Contract) -> int:
        spec = contract.spec
        try:
            return spec.ticks(price)
        except ValueError:
            below = spec.price(int(price // spec.tick_size))
            self._refuse(
                field,
                "off_tick",
                price=f"{price.normalize():f}",
                tick=spec.tick_size,
                below=contract.text(below),
                above=contract.text(below + spec.tick_size),
            )

    def _refuse(self, field: str, code: str, **words: object) -> NoReturn:
        text = self.error_messages[code].format(**words)
        raise serializers.ValidationError({field: [serializers.ErrorDetail(text, code=code)]})


def _beyond(side: Side) -> str:
    return "above" if side is Side.BUY else "below"
