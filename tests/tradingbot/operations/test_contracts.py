from __future__ import annotations

from datetime import UTC, datetime

import pytest

from brokers.base import ReadFailed
from tests.factories import NOW, ContractFactory
from tradingbot.models import Contract, Notification
from tradingbot.operations import contracts, venues


def test_lists_one_current_month_a_product(stage):
    contracts.refresh(stage.login, now=NOW)
    assert contracts.front("paper", "MNQ").name == "MNQZ6"
    assert contracts.refresh(stage.login, now=NOW) == 0


def test_a_roll_moves_the_front_and_is_told_to_those_who_trade_it(stage, strategy):
    strategy.account = stage.account
    strategy.save()
    contracts.refresh(stage.login, now=NOW)
    stage.time.at = datetime(2026, 12, 15, 15, tzinfo=UTC)
    assert contracts.refresh(stage.login, now=stage.time.at) > 1
    assert contracts.front("paper", "MNQ").name == "MNQH7"
    assert not Contract.objects.get(name="MNQZ6").active
    told = Notification.objects.get(title__contains="rolled")  # of MNQ alone, nobody trades the others
    assert told.title == "MNQ rolled to MNQH7"


def test_a_failed_read_leaves_what_is_known(stage):
    contracts.refresh(stage.login, now=NOW)

    class Silent:
        def contracts(self) -> None:
            raise ReadFailed("no answer")

    venues.use(stage.login, Silent())
    with pytest.raises(ReadFailed):
        contracts.refresh(stage.login, now=NOW)
    assert contracts.front("paper", "MNQ") is not None


@pytest.mark.parametrize(
    ("symbol", "name", "before"),
    [("MNQ", "MNQZ6", "MNQU6"), ("MNQ", "MNQH7", "MNQZ6"), ("MGC", "MGCG7", "MGCZ6"), ("MCL", "MCLF7", "MCLZ6")],
)
def test_the_month_before_is_looked_up_never_made_up(stage, symbol, name, before):
    contract = ContractFactory(symbol=symbol, name=name)
    found = contracts.previous(contract, now=NOW)
    assert (found.name, found.seen_at) == (before, NOW)
    assert contracts.before(contract) == [found]


def test_a_contract_whose_id_does_not_tell_its_month_has_none_before_it(contract):
    contract.broker_contract_id = "MNQ-continuous"
    assert contracts.previous(contract, now=NOW) is None
    assert contracts.before(contract) == []
