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


class NameForm(forms.Form):
    """A name that a person types to show that this one is meant."""

    typed = forms.CharField(label="type the account's name", max_length=64, widget=UnfoldAdminTextInputWidget())


class CodeForm(NameForm):
    """The name, and the code that an authenticator app shows at this moment."""

    code = forms.CharField(
        label="code of your authenticator app",
        max_length=8,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class ResumeForm(forms.Form):
    """Why it goes on, and the account's name where a lock is to end before its time."""

    reason = forms.CharField(max_length=200, required=False, widget=UnfoldAdminTextInputWidget({"autofocus": True}))
    override = forms.CharField(
        label="the account's name, to lift a daily loss lock before its time",
        max_length=64,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
    )


class EmptyForm(forms.Form):
    """Nothing to fill in."""


def ask(
    request: HttpRequest,
    *,
    title: str,
    text: str,
    button: str,
    back: str,
    run: Callable[..., str],
    with_reason: bool = False,
    asks: type[forms.Form] | None = None,
    tone: str = "bad",
) -> HttpResponseBase:
    """Show the question; on POST call `run` with what was typed, show the sentence that it returns, and go `back`.

    asks   a form whose fields `run` takes in their order; by default a reason, or an empty text without one

    A ValueError of `run` is the operation's refusal: its text is shown instead.
    """
    asked = asks or (ReasonForm if with_reason else EmptyForm)
    form = asked(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, run(*form.cleaned_data.values() or ("",)))
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
