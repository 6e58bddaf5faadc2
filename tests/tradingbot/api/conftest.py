from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient


@pytest.fixture(autouse=True)
def market_time_stands(standing_clock) -> None:
    """Every answer is of 09:20 New York."""


@pytest.fixture
def api(db) -> APIClient:
    """A client with the token of a superuser."""
    client = APIClient()
    token = Token.objects.create(user=User.objects.create_superuser("ada"))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token.key}")
    return client
