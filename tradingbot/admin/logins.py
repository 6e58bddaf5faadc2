"""Logins: their keys go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminURLInputWidget

from brokers.projectx.hubs import hub_url
from tradingbot.admin.facts import PanelAdmin
from tradingbot.models import Login
from tradingbot.models.accounts import Venue


class LoginForm(forms.ModelForm):  # type: ignore[type-arg]
    """A login whose key goes in and never comes out."""

    base_url = forms.URLField(
        assume_scheme="https", widget=UnfoldAdminURLInputWidget(), help_text="for example https://api.topstepx.com"
    )
    api_key = forms.CharField(
        label="API key",
        strip=True,
        required=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text="stored encrypted, never shown again; leave empty to keep the present one",
    )

    class Meta:
        model = Login
        fields = ("name", "venue", "base_url", "user_name", "api_key", "enabled")

    def clean_api_key(self) -> str:
        key: str = self.cleaned_data["api_key"] or self.instance.api_key
        if not key:
            raise forms.ValidationError("Paste the API key of this user; without one the venue refuses the login.")
        return key

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "base_url" in cleaned:
            try:
                hub_url(cleaned["base_url"], "user", plain_http=cleaned.get("venue") == Venue.PAPER)
            except ValueError as error:  # the key would travel in the clear
                self.add_error("base_url", str(error))
        return cleaned


_SEEN = ("entries_blocked", "clock_skew", "token_renewed_at")


@admin.register(Login)
class LoginAdmin(PanelAdmin):
    form = LoginForm
    list_display = ("name", "venue", "base_url", "user_name", "enabled", *_SEEN)
    titles = {"clock_skew": "clock, seconds"}
    readonly_fields = _SEEN
    fields = (("name", "enabled"), ("venue", "base_url"), ("user_name", "api_key"), readonly_fields)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fields(request, obj)
        return tuple(tuple(name for name in row if name != "api_key") for row in self.fields)  # it would be readable

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
