"""What a process loads before it forks its children, so that they share it."""

from __future__ import annotations

import ssl
from contextlib import suppress
from importlib import import_module

import django
from billiard.util import get_pdeathsig  # type: ignore[import-untyped]
from cryptography.fernet import Fernet
from psycopg.pq import PGconn

from tradingbot.processes.unseen import unseen


def load(modules: list[str]) -> None:
    """Import `modules`, and what children of a worker need besides.

    TA-Lib loads pandas to take its series, httpx rich for its command line: 25 and 4 MB for what we never use.
    `limits` loads its storage with the first request only, and `valkey` along with it: 5 MB for each child. The first
    question for the signal that ends a child with its parent loads a parser of C: 4 MB.
    """
    django.setup()
    with suppress(OSError):  # not on Linux
        get_pdeathsig()
    with unseen("pandas", "rich"):
        for module in (*modules, "limits.storage", "valkey"):
            import_module(module)
    _set_up_cryptography()


def _set_up_cryptography() -> None:
    """Let the three copies of OpenSSL that are loaded make their tables, once and in one place.

    Else the first login to PostgreSQL, the first secret decrypted and the first call to a venue make them in every
    child, strewn over what it shares: 4 to 5 MB of it. OpenSSL draws its random numbers anew after a fork.
    """
    PGconn.connect_start(b"port=none").encrypt_password(b"", b"", b"scram-sha-256")  # connects to nothing
    Fernet(Fernet.generate_key()).encrypt(b"")
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
