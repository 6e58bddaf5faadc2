"""What the trader was told, or was to be told."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from tradingbot.admin.facts import FactAdmin
from tradingbot.models import Notification


@admin.register(Notification)
class NotificationAdmin(FactAdmin):
    list_display = ("at", "level", "kind", "account", "title", "status", "error")
    list_display_links = ("title",)
    list_select_related = ("account",)
    list_filter = ("status", "level", "kind", "account")
    search_fields = ("title", "body")
    date_hierarchy = "at"
    actions = ("retry",)
    fields = (
        ("at", "kind", "level"),
        "title",
        "body",
        "facts",
        ("status", "attempts", "error"),
        ("sent_at", "not_before"),
        ("account", "key"),
    )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tradingbot.change_notification")

    @admin.action(description="Send again", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        again = queryset.exclude(status=Notification.Status.PENDING).update(
            status=Notification.Status.PENDING, attempts=0, not_before=None, error=""
        )
        self.message_user(request, f"{again} notification(s) will be delivered again.")
