"""Orders: look, place, cancel."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from market.orders import Role
from market.sessions import trade_date_of
from tradingbot import clock
from tradingbot.api import idempotency
from tradingbot.api.entries import Entry
from tradingbot.api.permissions import MayAdd, MayChange
from tradingbot.api.rows import DecisionRow, OrderRow
from tradingbot.models import Decision, Order, Outcome
from tradingbot.operations import hints, orders


class Placed(serializers.Serializer):  # type: ignore[type-arg]
    """What the gate allowed: the decision and its orders, entry first; a worker sends them."""

    decision = DecisionRow()
    orders = OrderRow(many=True)


class Asked(serializers.Serializer):  # type: ignore[type-arg]
    """Whether a worker will act."""

    asked = serializers.BooleanField()
    sentence = serializers.CharField()


class OrderViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Order]):
    """Orders of all accounts, newest first; bracket legs have a parent."""

    queryset = Order.objects.select_related("account", "strategy", "contract")
    serializer_class = OrderRow
    permission_classes = (MayAdd,)
    filterset_fields = {
        "account__name": ["exact"],
        "strategy__name": ["exact"],
        "contract__symbol": ["exact"],
        "session_date": ["exact", "gte", "lte"],
        "status": ["exact", "in"],
        "role": ["exact"],
        "tag": ["exact"],
    }

    @extend_schema(
        request=Entry,
        responses={201: Placed, 200: Placed, 422: DecisionRow},
        parameters=[
            OpenApiParameter(
                idempotency.HEADER,
                str,
                OpenApiParameter.HEADER,
                description="The same key with the same body is one order, however often it is sent (then 200).",
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Ask the gate for an entry with its stop. 201: committed, a worker sends it. 422: denied, with every rule."""
        entry = Entry(data=request.data)
        entry.is_valid(raise_exception=True)
        by, key, now = f"{request.user.get_username()} (api)", idempotency.key_of(request.headers), clock.now()
        with transaction.atomic():
            earlier = idempotency.earlier(key, by=by, body=request.data) if key else None
            decision = earlier or orders.open(
                **entry.validated_data,
                session_date=trade_date_of(now),
                now=now,
                inputs={"idempotency_key": key, "request": idempotency.digest(request.data)} if key else {},
                requested_by=by,
            )
            for order in decision.orders.filter(role=Role.ENTRY) if earlier is None else ():
                hints.publish("critical.send_order", order_id=order.pk)
        return _answer(decision, created=earlier is None)

    @extend_schema(request=None, responses={202: Asked, 409: Asked})
    @action(detail=True, methods=["post"], permission_classes=[MayChange])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ask for a cancel; a worker sends it, the order may fill before.

        409: there is nothing to cancel, or it is the stop of an open position, which stays.
        """
        order = self.get_object()
        try:
            asked = orders.cancel_by_hand(order, by=f"{request.user.get_username()} (api)", now=clock.now())
        except ValueError as error:
            return Response({"asked": False, "sentence": str(error)}, status.HTTP_409_CONFLICT)
        hints.publish("critical.sweep")
        order.refresh_from_db()
        sentence = f"{order} is {order.get_status_display()}."
        return Response(
            {"asked": asked, "sentence": sentence}, status.HTTP_202_ACCEPTED if asked else status.HTTP_409_CONFLICT
        )


def _answer(decision: Decision, *, created: bool) -> Response:
    if decision.outcome != Outcome.ORDERED:
        return Response(DecisionRow(decision).data, status.HTTP_422_UNPROCESSABLE_ENTITY)
    rows = Order.objects.filter(decision=decision).select_related("account", "strategy", "contract").order_by("pk")
    body: dict[str, Any] = {"decision": decision, "orders": rows}
    return Response(Placed(body).data, status.HTTP_201_CREATED if created else status.HTTP_200_OK)
