"""Who may do what: the permissions that the panel asks for, on the model of the view's `queryset`."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_permission_codename
from rest_framework.permissions import SAFE_METHODS, IsAdminUser
from rest_framework.request import Request


class MayChange(IsAdminUser):
    """Staff that may `view` or `change` the rows looks at them, who may `change` them acts."""

    acts = "change"

    def has_permission(self, request: Request, view: Any) -> bool:
        wanted = ("view", "change") if request.method in SAFE_METHODS else (self.acts,)
        options = view.queryset.model._meta
        names = [f"{options.app_label}.{get_permission_codename(verb, options)}" for verb in wanted]
        return super().has_permission(request, view) and any(map(request.user.has_perm, names))


class MayAdd(MayChange):
    """The same where a POST makes a new row."""

    acts = "add"
