"""The same request sent twice is one order: the `Idempotency-Key` header.

The key, with a digest of the request, is kept in the decision's `inputs`. A second request of the same person with the
same key gets the first one's answer; while the first is under way it waits for it. A key is remembered for ever.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db import connection
from rest_framework import serializers

from tradingbot.models import Decision

HEADER = "Idempotency-Key"
_LONGEST = 100


def key_of(headers: Any) -> str:
    """Return the key, empty when the client sent none. Raises ValidationError for one that is too long."""
    key = str(headers.get(HEADER, "")).strip()
    if len(key) > _LONGEST:
        text = f"A key has at most {_LONGEST} characters; this one has {len(key)}."
        raise serializers.ValidationError({HEADER: [text]})
    return key


def earlier(key: str, *, by: str, body: Any) -> Decision | None:
    """Return what the same request led to before, None if it is new. Call it inside the transaction of the order.

    Raises ValidationError if the key came with another request.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{by}:{key}"])
    found = Decision.objects.filter(requested_by=by, inputs__idempotency_key=key).first()
    if found and found.inputs["request"] != digest(body):
        text = f"The key {key} was used for another request (decision {found.pk}); use a new key for a new order."
        raise serializers.ValidationError({HEADER: [text]})
    return found


def digest(body: Any) -> str:
    """Return a short digest of the request's content."""
    text = json.dumps(body, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
