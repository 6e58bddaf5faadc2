"""Rows as the API shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from market.orders import Side
from tradingbot.models import Account, Decision, Order, Position, Strategy, Trade


class SideField(serializers.ChoiceField):
    """`buy` or `sell`; stored as the sign of the position that it adds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=[side.name.lower() for side in Side], **options)

    def to_representation(self, value: int) -> str:  # type: ignore[override]
        return Side(value).name.lower()

    def to_internal_value(self, data: Any) -> Side:  # type: ignore[override]
        return Side[super().to_internal_value(data).upper()]


class PlainDecimal(serializers.DecimalField):
    """A decimal string without superfluous zeros: 21480.25."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=20, decimal_places=9, **options)

    def to_representation(self, value: Any) -> Any:
        return None if value is None else f"{Decimal(value).normalize():f}"


class AccountRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    venue = serializers.CharField(read_only=True)
    day_profit = serializers.DecimalField(
        max_digits=16, decimal_places=2, read_only=True, allow_null=True, help_text="realised since the session began"
    )

    class Meta:
        model = Account
        fields = (
            "id",
            "name",
            "venue",
            "stage",
            "selected",
            "enabled",
            "can_trade",
            "trading_state",
            "state_reason",
            "state_until",
            "lock",
            "lock_until",
            "armed_at",
            "armed_until",
            "permit_missing",
            "flatten_requested_at",
            "balance",
            "balance_at",
            "day_profit",
            "start_balance",
            "maximum_loss",
            "daily_loss_limit",
            "max_lots",
            "reconciled_at",
        )


class PositionRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    account = serializers.CharField(source="account.name", read_only=True)
    contract = serializers.CharField(source="contract.name", read_only=True)
    symbol = serializers.CharField(source="contract.symbol", read_only=True)
    average_price = PlainDecimal(read_only=True)

    class Meta:
        model = Position
        fields = ("id", "account", "contract", "symbol", "quantity", "average_price", "opened_at", "broker_quantity")


class OrderRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    account = serializers.CharField(source="account.name", read_only=True)
    strategy = serializers.CharField(source="strategy.name", read_only=True, allow_null=True, default=None)
    contract = serializers.CharField(source="contract.name", read_only=True)
    symbol = serializers.CharField(source="contract.symbol", read_only=True)
    side = SideField(read_only=True)
    limit_price = PlainDecimal(read_only=True, allow_null=True)
    stop_price = PlainDecimal(read_only=True, allow_null=True)
    average_price = PlainDecimal(read_only=True, allow_null=True)

    class Meta:
        model = Order
        fields = (
            "id",
            "tag",
            "account",
            "strategy",
            "contract",
            "symbol",
            "session_date",
            "parent",
            "role",
            "side",
            "type",
            "quantity",
            "filled",
            "average_price",
            "limit_price",
            "stop_price",
            "stop_ticks",
            "target_ticks",
            "status",
            "reason",
            "requested_by",
            "broker_order_id",
            "expires_at",
            "created_at",
            "updated_at",
        )


class TradeRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    account = serializers.CharField(source="account.name", read_only=True)
    strategy = serializers.CharField(source="strategy.name", read_only=True, allow_null=True, default=None)
    contract = serializers.CharField(source="contract.name", read_only=True)
    direction = serializers.SerializerMethodField()
    exit_role = serializers.CharField(read_only=True, help_text="what closed it: stop, target, exit or external")
    entry_price = PlainDecimal(read_only=True)
    exit_price = PlainDecimal(read_only=True)

    class Meta:
        model = Trade
        fields = (
            "id",
            "account",
            "strategy",
            "contract",
            "session_date",
            "direction",
            "quantity",
            "entry_price",
            "exit_price",
            "entered_at",
            "exited_at",
            "gross",
            "fees",
            "commissions",
            "net",
            "exit_role",
        )

    def get_direction(self, trade: Trade) -> str:
        return "long" if trade.direction > 0 else "short"


class RuleRow(serializers.Serializer):  # type: ignore[type-arg]
    rule = serializers.CharField()
    value = serializers.CharField()
    limit = serializers.CharField()
    ok = serializers.BooleanField(allow_null=True, help_text="null: does not apply")
    note = serializers.CharField(allow_blank=True)


class DecisionRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    account = serializers.CharField(source="account.name", read_only=True)
    strategy = serializers.CharField(source="strategy.name", read_only=True, allow_null=True, default=None)
    contract = serializers.CharField(source="contract.name", read_only=True, allow_null=True, default=None)
    rules = RuleRow(many=True, read_only=True)
    inputs = serializers.DictField(read_only=True)

    class Meta:
        model = Decision
        fields = (
            "id",
            "account",
            "strategy",
            "contract",
            "session_date",
            "at",
            "bar_closed_at",
            "outcome",
            "code",
            "sentence",
            "rules",
            "inputs",
            "config_version",
            "requested_by",
        )


class StrategyRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    account = serializers.CharField(source="account.name", read_only=True)
    parameters = serializers.SerializerMethodField()

    class Meta:
        model = Strategy
        fields = (
            "id",
            "name",
            "kind",
            "account",
            "symbol",
            "enabled",
            "parameters",
            "halted_on",
            "halt_reason",
            "stopped_reason",
            *Strategy.LIMITS,
            "last_evaluated_at",
            "last_reason",
        )

    @extend_schema_field(serializers.DictField())
    def get_parameters(self, strategy: Strategy) -> dict[str, Any]:
        return dict(strategy.parameters)
