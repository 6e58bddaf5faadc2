"""What an account or a strategy has come to."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tradingbot.models import Account, DayResult, Strategy
from tradingbot.operations import performance


class Asked(serializers.Serializer):  # type: ignore[type-arg]
    """Which one; exactly one of the two."""

    account = serializers.SlugRelatedField(
        slug_field="name", queryset=Account.objects.all(), required=False, help_text="name of an account"
    )
    strategy = serializers.SlugRelatedField(
        slug_field="name", queryset=Strategy.objects.all(), required=False, help_text="name of a strategy"
    )

    def validate(self, attrs: dict[str, Account | Strategy]) -> dict[str, Account | Strategy]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Name an account or a strategy, not both.")
        return attrs


class PerformanceView(APIView):
    """Figures, sessions, weeks, months, hours and the causes of the largest drawdown; dollars as strings."""

    queryset = DayResult.objects.all()

    @extend_schema(
        parameters=[OpenApiParameter("account", str), OpenApiParameter("strategy", str)],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> Response:
        asked = Asked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        if "strategy" in wanted:
            return Response(performance.of_strategy(wanted["strategy"]).plain())
        return Response(performance.of_account(wanted["account"]).plain())
