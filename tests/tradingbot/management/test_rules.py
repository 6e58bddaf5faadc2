"""`rules` and `import_news` at the prompt."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tradingbot.models import Account, NewsEvent


def shown(*typed: str) -> str:
    out = StringIO()
    call_command(*typed, stdout=out)
    return out.getvalue()


@pytest.fixture
def account(day) -> Account:
    Account.objects.update(stage="combine", max_lots=5)
    return Account.objects.get()


@pytest.mark.usefixtures("standing_clock")
def test_rules_says_what_binds_and_what_is_missing(account):
    text = shown("rules", "50KTC")
    assert "To pass: $2,879.50 more net profit, 1 more trading day(s), no open position." in text
    assert "room to floor" in text
    assert "maximum loss" in text
    assert "rulebook: combine 50K from 2026-09-17" in text


@pytest.mark.usefixtures("standing_clock")
def test_rules_as_json_has_sentences_days_and_origins(account):
    document = json.loads(shown("rules", "--json"))
    assert document["useful_today"] == "1529.50"
    assert document["days"] == []
    assert document["odds_passes"] is None
    assert document["without_odds"] == "1 trade is too few to tell odds, 30 are needed"
    assert {"rule": "profit target", "value": "$3,000", "from": "rulebook: combine 50K from 2026-09-17"} in document[
        "rules"
    ]


def test_import_news_writes_a_file_and_refuses_a_wrong_one_as_a_whole(db, tmp_path):
    file = tmp_path / "news.csv"
    file.write_text("at,kind,title\n2026-12-10 07:30,cpi,CPI\n")
    assert "1 event(s) written, 0 changed" in shown("import_news", str(file), "--yes")
    file.write_text("at,kind,title\n2026-12-11 07:30,cpi,CPI\n2026-12-12 07:30,cp,CPI\n")
    with pytest.raises(CommandError, match="line 3: kind is 'cp'"):
        shown("import_news", str(file), "--yes")
    assert NewsEvent.objects.count() == 1


@pytest.mark.usefixtures("standing_clock")
def test_why_ends_with_what_is_still_useful_today(account):
    text = shown("why")
    assert "50KTC-1001: $1,529.50 more still help today, a day's cap is $1,650.00 (consistency governor: off)." in text
    assert "still help" not in shown("why", "2026-11-17")
