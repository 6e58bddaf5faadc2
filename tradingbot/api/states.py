"""Who may trade: the state of all accounts, of one, and the permit; and how a program changes it."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tradingbot import clock
from tradingbot.api.rows import AccountRow, RuleRow
from tradingbot.api.views import Problem
from tradingbot.models import Account, OverallState, TradingState
from tradingbot.operations import permits, trading
from tradingbot.operations.orders.opening import rule_row


class Change(serializers.Serializer):  # type: ignore[type-arg]
    """The state that is wanted, and why."""

    trading_state = serializers.ChoiceField(choices=TradingState.choices)
    reason = serializers.CharField(max_length=300, required=False, default="", help_text="shown to everybody")

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        if attrs["trading_state"] != TradingState.ACTIVE and not attrs["reason"].strip():
            raise serializers.ValidationError({"reason": "Say why no entry may leave."})
        return attrs


class ChangeOfAccount(Change):
    """The same for one account."""

    override = serializers.CharField(
        max_length=64,
        required=False,
        default="",
        help_text="the account's name, to end a daily loss lock before its time",
    )


class OverallRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    class Meta:
        model = OverallState
        fields = ("trading_state", "reason", "by", "at")


class Overall(APIView):
    """The state that binds every account, beside its own."""

    queryset = Account.objects.all()

    @extend_schema(responses={200: OverallRow}, operation_id="trading_state_retrieve")
    def get(self, request: Request) -> Response:
        return Response(OverallRow(trading.overall()).data)

    @extend_schema(request=Change, responses={200: OverallRow}, operation_id="trading_state_change")
    def post(self, request: Request) -> Response:
        """Halt, only reduce, or resume on all accounts. The stricter state stays; only `active` ends it."""
        wanted = Change(data=request.data)
        wanted.is_valid(raise_exception=True)
        state, reason = TradingState(wanted.validated_data["trading_state"]), wanted.validated_data["reason"]
        by, now = f"{request.user.get_username()} (api)", clock.now()
        if state == TradingState.ACTIVE:
            trading.resume_all(by=by, now=now, reason=reason)
        else:
            trading.halt_all(reason=reason, by=by, now=now, state=state)
        return Response(OverallRow(trading.overall()).data)


class OfAccount(APIView):
    """The trading state of one account."""

    queryset = Account.objects.all()

    @extend_schema(
        request=ChangeOfAccount,
        responses={200: AccountRow, 409: Problem},
        operation_id="account_trading_state_change",
    )
    def post(self, request: Request, pk: int) -> Response:
        """Halt, only reduce, or resume. A lock of the firm's limits wants its words (409 says which)."""
        account = get_object_or_404(self.queryset, pk=pk)
        wanted = ChangeOfAccount(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        state, by, now = TradingState(values["trading_state"]), f"{request.user.get_username()} (api)", clock.now()
        try:
            if state == TradingState.ACTIVE:
                trading.resume(account, by=by, now=now, reason=values["reason"], override=values["override"])
            else:
                trading.halt(account, reason=values["reason"], by=by, now=now, state=state)
        except ValueError as error:
            return Response({"detail": str(error)}, status.HTTP_409_CONFLICT)
        account.refresh_from_db()
        return Response(AccountRow(account).data)


class Permit(APIView):
    """What must stand before any entry of an account, as it is now."""

    queryset = Account.objects.select_related("login")

    @extend_schema(responses={200: RuleRow(many=True)}, operation_id="account_permit_list")
    def get(self, request: Request, pk: int) -> Response:
        account = get_object_or_404(self.queryset, pk=pk)
        return Response([rule_row(rule) for rule in permits.rules(account, now=clock.now())])
