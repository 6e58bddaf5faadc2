"""Why no entry of a login may leave: every check has a reason of its own in the login's row, beside those of others."""

from __future__ import annotations

from django.db import transaction

from tradingbot.models import Login

_BETWEEN = "; "


def put(login: Login, words: str, reason: str) -> bool:
    """Keep `reason` as what the check says that begins with `words`, an empty one takes it back; True if that is new.

    Entries leave while the row holds no reason at all; what a person wrote there stays.
    """
    wanted = f"{words} {reason}".replace(_BETWEEN, ", ") if reason else ""
    if _mine(Login.objects.values_list("entries_blocked", flat=True).get(pk=login.pk), words) == wanted:
        return False
    with transaction.atomic():
        row = Login.objects.select_for_update().only("entries_blocked").get(pk=login.pk)
        kept = [part for part in row.entries_blocked.split(_BETWEEN) if part and not part.startswith(words)]
        most = Login._meta.get_field("entries_blocked").max_length
        row.entries_blocked = _BETWEEN.join([*kept, wanted] if wanted else kept)[:most]
        row.save(update_fields=["entries_blocked"])
    return True


def _mine(blocked: str, words: str) -> str:
    return next((part for part in blocked.split(_BETWEEN) if part.startswith(words)), "")
