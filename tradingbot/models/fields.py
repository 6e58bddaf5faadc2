"""Columns that several models share: prices, dollars, encrypted texts."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


def price(**options: Any) -> models.DecimalField[Any, Any]:
    """Return a column of a price in points."""
    return models.DecimalField(max_digits=20, decimal_places=9, **options)


def dollars(**options: Any) -> models.DecimalField[Any, Any]:
    """Return a column of dollars and cents."""
    return models.DecimalField(max_digits=16, decimal_places=2, **options)


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """A text that is stored encrypted (Fernet) under ENCRYPTION_KEY, which is apart from SECRET_KEY.

    Several keys, separated by commas, are tried in order; the first encrypts. A wrong key raises ImproperlyConfigured.
    """

    def get_prep_value(self, value: Any) -> Any:
        return _cipher(*settings.ENCRYPTION_KEYS).encrypt(value.encode()).decode() if value else value

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if not value:
            return value
        try:
            return _decrypted(value, *settings.ENCRYPTION_KEYS)
        except InvalidToken as error:
            raise ImproperlyConfigured(
                "ENCRYPTION_KEY does not decrypt what is stored: restore the key that wrote it, "
                "or add it after the new one, separated by a comma"
            ) from error


@lru_cache(maxsize=64)  # every order reads its login
def _decrypted(value: str, *keys: str) -> str:
    return _cipher(*keys).decrypt(value.encode()).decode()


@cache
def _cipher(*keys: str) -> MultiFernet:
    return MultiFernet([Fernet(_fernet_key(key)) for key in keys])


def _fernet_key(text: str) -> bytes:
    """Return `text` itself when it is a Fernet key, else one derived from it."""
    import base64
    import hashlib

    try:
        Fernet(text)
    except ValueError:
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return text.encode()
