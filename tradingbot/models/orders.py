"""Orders: intent and order in one row, and everything that ever happened to them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from market.orders import ENTRY_TAKEN, LIVE, NEXT, OrderStatus, OrderType, Role, Side
from tradingbot.models import fields
from tradingbot.models.accounts import Account
from tradingbot.models.contracts import Contract
from tradingbot.models.decisions import Decision
from tradingbot.models.strategies import Strategy


class OrderQuerySet(models.QuerySet["Order"]):
    def live(self) -> OrderQuerySet:
        """Return the orders that may still change a position."""
        return self.filter(status__in=LIVE)

    def working(self) -> OrderQuerySet:
        """Return the orders that the venue holds open."""
        return self.filter(status__in=(OrderStatus.WORKING, OrderStatus.PARTIAL, OrderStatus.CANCEL_PENDING))


class Order(models.Model):
    """One order of an account, from the moment that we decide to send it; never deleted.

    Bracket legs are rows of their own with `parent`; orders that we did not make have role `external`.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="orders")
    strategy = models.ForeignKey(Strategy, models.PROTECT, null=True, blank=True, related_name="orders")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="orders")
    decision = models.ForeignKey(Decision, models.PROTECT, null=True, blank=True, related_name="orders")
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="legs")
    oco_group = models.UUIDField(null=True, blank=True, help_text="ties the two entries of a pair")
    session_date = models.DateField()
    tag = models.CharField(max_length=64, unique=True, help_text="ours; the venue echoes it")
    role = models.CharField(max_length=16, choices=[(r.value, r.value) for r in Role])
    side = models.SmallIntegerField(choices=[(s.value, s.name.lower()) for s in Side])
    type = models.CharField(max_length=16, choices=[(t.value, t.value.replace("_", " ")) for t in OrderType])
    quantity = models.PositiveIntegerField(help_text="contracts")
    filled = models.PositiveIntegerField(default=0, help_text="contracts")
    average_price = fields.price(null=True, blank=True, help_text="of what is filled")
    limit_price = fields.price(null=True, blank=True)
    stop_price = fields.price(null=True, blank=True, help_text="of a trailing stop: the price it starts from")
    reference_price = fields.price(
        null=True, blank=True, help_text="of a market order: the newest price when it was decided"
    )
    stop_ticks = models.PositiveIntegerField(null=True, blank=True, help_text="of an entry: its stop behind the fill")
    target_ticks = models.PositiveIntegerField(null=True, blank=True, help_text="of an entry: its target")
    breakeven_ticks = models.PositiveIntegerField(
        null=True, blank=True, help_text="of an entry: profit after which the stop goes to the entry"
    )
    breakeven_offset_ticks = models.IntegerField(default=0, help_text="of an entry: from there to its stop, with it")
    trail_ticks = models.PositiveIntegerField(
        null=True, blank=True, help_text="of an entry: its stop behind the best price since the fill"
    )
    partials = models.JSONField(
        default=list, blank=True, help_text="of an entry: [multiple of the stop, share] closed before the target"
    )
    hold = models.DurationField(null=True, blank=True, help_text="of an entry: closed so long after its fill")
    adds = models.BooleanField(default=False, help_text="of an entry: adds to a position")
    desired_price = fields.price(
        null=True, blank=True, help_text="price that a modify asks for, until the venue has it"
    )
    status = models.CharField(
        max_length=16, default=OrderStatus.NEW, choices=[(s.value, s.value.replace("_", " ")) for s in OrderStatus]
    )
    attempt = models.PositiveIntegerField(default=0)
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True, help_text="machine time")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="market time")
    not_before = models.DateTimeField(null=True, blank=True, help_text="machine time of the next attempt")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="cancelled by us from then on")
    broker_order_id = models.BigIntegerField(null=True, blank=True)
    status_at = models.DateTimeField(
        db_default=Now(), editable=False, help_text="machine time of the last change; older reads are ignored"
    )
    seen_at = models.DateTimeField(null=True, blank=True, help_text="machine time: when the venue first showed it")
    empty_reads = models.PositiveIntegerField(default=0, help_text="successful reads that did not show it")
    absent_since = models.DateTimeField(null=True, blank=True, help_text="machine time of the first such read")
    change_sent_at = models.DateTimeField(null=True, blank=True, help_text="machine time of the last cancel or modify")
    reason = models.CharField(max_length=300, blank=True, help_text="why it ended, or why it waits")
    requested_by = models.CharField(max_length=80, blank=True, help_text="strategy or person")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = [
            models.Index(fields=["account", "status"]),
            models.Index(fields=["status", "claimed_at"], name="order_status_claimed"),
            models.Index(fields=["account", "session_date"]),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=("account", "strategy", "session_date", "side"),
                name="order_one_live_entry",
                condition=Q(role=Role.ENTRY, status__in=sorted(ENTRY_TAKEN)),
            ),
            models.UniqueConstraint("account", "broker_order_id", name="order_once_a_broker_id"),
            models.CheckConstraint(name="order_has_quantity", condition=Q(quantity__gt=0)),
            models.CheckConstraint(name="order_not_overfilled", condition=Q(filled__lte=F("quantity"))),
            models.CheckConstraint(
                name="order_entry_has_stop",
                condition=~Q(role=Role.ENTRY) | Q(stop_ticks__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.describe()}"

    def describe(self) -> str:
        """Return the order in a trader's words, e.g. `buy 3 MNQ stop 21,480.25`."""
        price = self.limit_price if self.type == OrderType.LIMIT else self.stop_price
        at = f" {self.contract.text(price)}" if price is not None else ""
        return (
            f"{Side(self.side).name.lower()} {self.quantity} {self.contract.symbol} {self.type.replace('_', ' ')}{at}"
        )

    @property
    def price(self) -> Any:
        """Return the price at which it rests, None for a market order."""
        return self.limit_price if self.type == OrderType.LIMIT else self.stop_price

    @property
    def intended(self) -> Any:
        """Return the price at which it was meant to fill, None where none was meant: a trailing stop, a close."""
        if self.type == OrderType.TRAILING_STOP:
            return None
        return self.reference_price if self.type == OrderType.MARKET else self.price

    @property
    def slippage_ticks(self) -> Any:
        """Return by how many ticks it filled worse than intended (better: negative), None while that is not known."""
        if self.intended is None or not self.filled or self.average_price is None:
            return None
        return (self.average_price - self.intended) * self.side / self.contract.tick_size

    @property
    def slippage(self) -> Any:
        """Return the dollars that it filled worse than intended, None while that is not known."""
        ticks = self.slippage_ticks
        return None if ticks is None else ticks * self.contract.tick_value * self.filled

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    def advance(self, status: OrderStatus, *, at: Any, detail: dict[str, Any] | None = None, **changes: Any) -> bool:
        """Move on to `status` with an event; False if another worker moved the order first.

        Call it inside a transaction. Raises ValueError if `status` cannot follow the present one.
        """
        before = OrderStatus(self.status)
        if status not in NEXT[before]:
            raise ValueError(f"order {self.pk}: {before} cannot become {status}")
        moved = Order.objects.filter(pk=self.pk, status=before, claim_token=self.claim_token).update(
            status=status, status_at=Now(), updated_at=at, **changes
        )
        if not moved:
            return False
        self.status, self.updated_at = status, at
        for name, value in changes.items():
            setattr(self, name, value)
        if any(hasattr(value, "resolve_expression") for value in changes.values()):
            self.refresh_from_db(fields=list(changes))
        self.note(status, at=at, before=before, detail=detail)
        return True

    def note(
        self, kind: str, *, at: Any, before: OrderStatus | None = None, detail: dict[str, Any] | None = None
    ) -> OrderEvent:
        """Append an event to the order's history."""
        return OrderEvent.objects.create(
            order=self, at=at, kind=kind, before=before or self.status, after=self.status, detail=detail or {}
        )


class OrderEvent(models.Model):
    """One thing that happened to an order; append-only, written in the transaction of the change."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="events")
    at = models.DateTimeField(help_text="market time")
    machine_at = models.DateTimeField(db_default=Now(), editable=False)
    kind = models.CharField(max_length=24)
    before = models.CharField(max_length=16)
    after = models.CharField(max_length=16)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("pk",)
        indexes = [models.Index(fields=["-machine_at"])]

    def __str__(self) -> str:
        return f"#{self.order_id} {self.kind}"
