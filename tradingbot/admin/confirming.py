"""One page asks before anything that hurts: what will happen, an optional reason, one button."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from unfold.widgets import UnfoldAdminTextInputWidget


class ReasonForm(forms.Form):
    """Why somebody does this; it is stored with the state and shown to everybody."""

    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget({"autofocus": True}))


class EmptyForm(forms.Form):
    """Nothing to fill in."""


def ask(
    request: HttpRequest,
    *,
    title: str,
    text: str,
    button: str,
    back: str,
    run: Callable[[str], str],
    with_reason: bool = False,
    tone: str = "bad",
) -> HttpResponseBase:
    """Show the question; on POST call `run(reason)`, show the sentence that it returns, and go `back`.

    A ValueError of `run` is the operation's refusal: its text is shown instead.
    """
    form = (ReasonForm if with_reason else EmptyForm)(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, run(form.cleaned_data.get("reason", "")))
        except ValueError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(back)
    context = {
        **admin.site.each_context(request),
        "title": title,
        "text": text,
        "button": button,
        "back": back,
        "form": form,
        "tone": tone,
    }
    page: HttpResponse = render(request, "panel/confirm.html", context)
    return page
