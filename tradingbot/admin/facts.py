"""How rows are shown: every page writes times, prices and states alike; records of fact are changed by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline

from tradingbot.admin import columns


class Shown:
    """Shows fields by their type (`columns.of`); `titles` replaces a field's own name."""

    titles: Mapping[str, str] = {}

    def __init__(self, model: Any, admin_site: Any) -> None:
        super().__init__(model, admin_site)  # type: ignore[call-arg]
        self._columns: dict[tuple[str, bool], Any] = {}

    def get_list_display(self, request: HttpRequest) -> Any:
        return [self._shown(name, listed=True) for name in super().get_list_display(request)]  # type: ignore[misc]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [self._shown(name) for name in super().get_readonly_fields(request, obj)]  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown(super().get_fieldsets(request, obj), request, obj)  # type: ignore[misc]

    def shown(self, fieldsets: Any, request: HttpRequest, obj: Any) -> Any:
        """Return `fieldsets` with the columns of all fields that this person cannot change."""
        changes = self.has_change_permission(request, obj)  # type: ignore[attr-defined]
        fixed = {*super().get_readonly_fields(request, obj)}  # type: ignore[misc]

        def written(name: Any) -> Any:
            if isinstance(name, list | tuple):
                return tuple(map(written, name))
            return self._shown(name) if name in fixed or not changes else name

        return [(title, {**options, "fields": written(options["fields"])}) for title, options in fieldsets]

    def _shown(self, name: Any, *, listed: bool = False) -> Any:
        if not isinstance(name, str):
            return name
        if (name, listed) not in self._columns:
            made = columns.of(self.model, name, self.titles.get(name, ""), listed=listed)  # type: ignore[attr-defined]
            self._columns[name, listed] = made
        return self._columns[name, listed]


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PanelAdmin(Shown, ModelAdmin):
    """Rows that a person may change, at least in part."""

    list_fullwidth = True
    compressed_fields = False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(db_field, models.DateTimeField):
            field.label = f"{field.label}, New York time"
        return field


class HistoryAdmin(SimpleHistoryAdmin, PanelAdmin):
    """Rows with their earlier versions, which nobody puts back: a halt, a lock or a switch has its own operation."""

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> Any:
        if request.method == "POST":
            raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=obj is not None, **kwargs)  # simple_history leaves it out

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return super().get_readonly_fields(request, obj)
        return flatten_fieldsets(self.get_fieldsets(request, obj))  # the admin does it, simple_history not


class FactAdmin(_ReadOnly, PanelAdmin):
    """A list and a page of rows that only operations write."""

    list_per_page = 50
    show_full_result_count = False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {**(extra_context or {}), "show_history": False}  # nobody ever changed it
        return super().changeform_view(request, object_id, form_url, context)


class FactInline(_ReadOnly, Shown, TabularInline):
    """Rows of fact under the row they belong to."""

    extra = 0
    hide_title = True
    can_delete = False
