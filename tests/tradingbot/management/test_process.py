"""Commands as a shell sees them: exit code, one line on stderr, nothing but JSON on stdout."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import load_command_class

ROOT = Path(__file__).resolve().parents[3]


def shell(*typed: str, database: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DATABASE_URL": database}
    return subprocess.run(
        [sys.executable, "manage.py", *typed],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_script_gets_one_json_document_and_code_0(database, account):
    done = shell("orders", "--json", database=database)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "")


@pytest.fixture
def typed(transactional_db, capfd, monkeypatch) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Type a command as a shell does, without another process; return its code, stdout and stderr."""
    level = logging.getLogger().level
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def enter(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["manage.py", *words])
        code = 0
        try:
            load_command_class("tradingbot", words[0]).run_from_argv(sys.argv)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capfd.readouterr()

    yield enter
    logging.getLogger().setLevel(level)


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (
            ("quote", "MNG"),
            1,
            "SYMBOL: no contract of paper is known yet; start the system with `make run`, which reads them\n",
        ),
        (("history", "MNQ"), 2, "the following arguments are required: TIMEFRAME, N; --help shows how it is written\n"),
        (("flatten",), 2, "--yes: there is no terminal to ask at; add --yes to do it without a question\n"),
    ],
)
def test_an_error_is_one_line_on_stderr_and_a_code(typed, account, words, code, error):
    assert typed(*words) == (code, "", error)


def test_a_lost_database_is_one_line():
    done = shell("orders", database="postgres://nobody@127.0.0.1:1/none")
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "PostgreSQL does not answer at 127.0.0.1:1: start it with `make run`, or set DATABASE_URL\n",
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("?sslmode=requier", 'DATABASE_URL: invalid sslmode value: "requier"'),
        ("?connect_timeout=soon", "DATABASE_URL: bad value for connect_timeout: 'soon'"),
        (
            "?sslmode=require",
            " refuses (server does not support SSL, but SSL was required): look at DATABASE_URL, or try again",
        ),
        ("/nowhere", ' refuses (database "nowhere" does not exist): look at DATABASE_URL, or try again'),
    ],
)
def test_what_postgresql_does_not_take_is_one_line(database, asked, said):
    done = shell("orders", database=database.rpartition("/")[0] + asked if asked[0] == "/" else database + asked)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"{said}\n")
    assert done.stderr.count("\n") == 1


def test_a_database_without_tables_is_one_line(database):
    maintenance = database.rpartition("/")[0] + "/postgres"
    done = shell("orders", database=maintenance)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "the database's tables are not this version's: run `python manage.py migrate`\n",
    )


def test_help_ends_with_an_example(typed):
    code, text, _ = typed("trade", "--help")
    assert code == 0
    assert text.endswith("example: python manage.py trade MNQ BUY 1 --limit 21480.25 --sl 21450 --tp 21540\n")
    assert "--settings" not in text
