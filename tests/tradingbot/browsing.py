"""What a reader sees of a page."""

from __future__ import annotations

import html
import re

from django.http import HttpResponse


def words(response: HttpResponse) -> str:
    """Return the text of a page that was found, in one line; every tag is a space."""
    assert response.status_code == 200, response
    text = html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode()))
    return re.sub(r"\s+", " ", text)
