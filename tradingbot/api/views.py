"""What can be looked at, strategies on and off, and the emergency stop."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tradingbot import clock
from tradingbot.api.rows import AccountRow, DecisionRow, PositionRow, StrategyRow, TradeRow
from tradingbot.models import Account, Decision, Position, Strategy, Trade
from tradingbot.operations import hints, orders, strategies

WORDS = "flatten all"


class AccountViewSet(viewsets.ReadOnlyModelViewSet[Account]):
    """Accounts with balance, state and limits."""

    queryset = Account.objects.select_related("login")
    serializer_class = AccountRow
    filterset_fields = ("name", "trading_state", "enabled", "selected")


class PositionViewSet(viewsets.ReadOnlyModelViewSet[Position]):
    """Open positions."""

    queryset = Position.objects.exclude(quantity=0).select_related("account", "contract")
    serializer_class = PositionRow
    filterset_fields = ("account__name", "contract__symbol")


class TradeViewSet(viewsets.ReadOnlyModelViewSet[Trade]):
    """Closed round turns, newest first."""

    queryset = Trade.objects.select_related("account", "strategy", "contract")
    serializer_class = TradeRow
    filterset_fields = {
        "account__name": ["exact"],
        "strategy__name": ["exact"],
        "contract__symbol": ["exact"],
        "session_date": ["exact", "gte", "lte"],
    }


class DecisionViewSet(viewsets.ReadOnlyModelViewSet[Decision]):
    """Why something was done, or was not, newest first."""

    queryset = Decision.objects.select_related("account", "strategy", "contract")
    serializer_class = DecisionRow
    filterset_fields = {
        "account__name": ["exact"],
        "strategy__name": ["exact"],
        "session_date": ["exact", "gte", "lte"],
        "outcome": ["exact"],
        "code": ["exact"],
    }


class Problem(serializers.Serializer):  # type: ignore[type-arg]
    """Why it cannot be done."""

    detail = serializers.CharField()


class StrategyViewSet(viewsets.ReadOnlyModelViewSet[Strategy]):
    """Strategies with their parameters."""

    queryset = Strategy.objects.select_related("account")
    serializer_class = StrategyRow
    lookup_field = "name"
    filterset_fields = ("enabled", "kind", "account__name")

    @extend_schema(request=None, responses={200: StrategyRow, 409: Problem})
    @action(detail=True, methods=["post"])
    def start(self, request: Request, name: str) -> Response:
        """Let it trade from the next bar on."""
        return self._switch(request, on=True)

    @extend_schema(request=None, responses={200: StrategyRow, 409: Problem})
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, name: str) -> Response:
        """No further entries; open positions keep their stops and targets."""
        return self._switch(request, on=False)

    def _switch(self, request: Request, *, on: bool) -> Response:
        strategy, by, now = self.get_object(), f"{request.user.get_username()} (api)", clock.now()
        try:
            if on:
                strategies.start(strategy, by=by, now=now)
            else:
                strategies.stop(strategy, by=by, now=now)
        except ValueError as error:
            return Response({"detail": str(error)}, status.HTTP_409_CONFLICT)
        strategy.refresh_from_db()
        return Response(StrategyRow(strategy).data)


class Stop(serializers.Serializer):  # type: ignore[type-arg]
    """The words that prove that it is meant."""

    confirm = serializers.CharField(help_text=f"exactly: {WORDS}")
    reason = serializers.CharField(default="asked by the API", max_length=150, help_text="shown to everybody")

    def validate_confirm(self, value: str) -> str:
        if value != WORDS:
            raise serializers.ValidationError(f"Write exactly {WORDS!r} to cancel all orders and close all positions.")
        return value


class Stopped(serializers.Serializer):  # type: ignore[type-arg]
    """Which accounts are being flattened."""

    accounts = serializers.ListField(child=serializers.CharField())


class EmergencyStop(APIView):
    """Cancel every order, close every position, send no entry until somebody resumes."""

    queryset = Account.objects.all()

    @extend_schema(request=Stop, responses={202: Stopped})
    def post(self, request: Request) -> Response:
        words = Stop(data=request.data)
        words.is_valid(raise_exception=True)
        by, reason = f"{request.user.get_username()} (api)", words.validated_data["reason"]
        stopped = orders.emergency_stop(reason=reason, by=by, now=clock.now())
        hints.publish("critical.emergency_stop")
        return Response({"accounts": [account.name for account in stopped]}, status.HTTP_202_ACCEPTED)
