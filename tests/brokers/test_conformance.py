"""The conformance suite on our venue: in process, and through the ProjectX client over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal

import pytest

from brokers.base import BracketTicks, Broker, Lane, LoginFailed, PlaceOrder, Refused
from brokers.projectx import Gateway, Login, MemoryTokens, ProjectX
from brokers.projectx.codes import OrderCode
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from market.orders import OrderStatus, OrderType, Side
from tests.brokers.conformance import Conformance
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import MNQ, Stage


class SimulatedRig(Stage):
    contract_id = MNQ

    def __init__(self, connect: Callable[[Stage], Broker], behaviour: Behaviour) -> None:
        super().__init__(behaviour)
        self.broker = connect(self)


class TestInProcess(Conformance):
    @pytest.fixture
    def rig(self) -> SimulatedRig:
        return SimulatedRig(_in_process, Behaviour())

    @pytest.fixture
    def partial_rig(self) -> SimulatedRig:
        return SimulatedRig(_in_process, Behaviour(partial=2))


class TestOverTheWire(Conformance):
    @pytest.fixture
    def rig(self, connect: Callable[[Stage], Broker]) -> SimulatedRig:
        return SimulatedRig(connect, Behaviour())

    @pytest.fixture
    def partial_rig(self, connect: Callable[[Stage], Broker]) -> SimulatedRig:
        return SimulatedRig(connect, Behaviour(partial=2))

    @pytest.fixture
    def connect(self) -> Iterator[Callable[[Stage], Broker]]:
        """How a stage is put behind a socket and a client in front of it; stopped after the test."""
        with ExitStack() as stack:

            def serve(stage: Stage) -> Broker:
                url = stack.enter_context(served(stage))
                gateway = Gateway(url, _Unlimited(), observe=lambda _: None, wall=lambda: 0.0)
                stack.callback(gateway.disconnect)
                return ProjectX(gateway, MemoryTokens(Login(gateway, "demo", "demo")))

            yield serve

    def test_the_rest_of_the_venues_surface(self, connect: Callable[[Stage], Broker]):
        stage = Stage()
        client = connect(stage)
        assert isinstance(client, ProjectX)
        order = PlaceOrder(
            stage.account_id,
            MNQ,
            "a",
            Side.BUY,
            OrderType.LIMIT,
            1,
            limit_price=Decimal(19_990),
            bracket=BracketTicks(40, 60),
        )
        entry = client.place(order)
        stop, _ = stage.legs(entry)
        assert [order.id for order in client.working_orders(stage.account_id)] == [entry]
        assert client.order(stage.account_id, stop.id).status is OrderStatus.SUSPENDED
        with pytest.raises(Refused) as unknown:
            client.order(stage.account_id, 1)
        assert unknown.value.code == OrderCode.ORDER_NOT_FOUND
        assert {(one.contract.symbol, one.active) for one in client.contracts_of("NQ")} == {("NQ", True)}
        login = Login(client._gateway, "demo", "demo")
        token = login.login()
        login.logout(token)
        with pytest.raises(LoginFailed):
            login.validate(token)
        assert client.accounts()  # the token of the others is not touched


class _Unlimited:
    """A budget that never ends."""

    def take(self, lane: Lane, *, wait: bool) -> None:
        pass


def _in_process(stage: Stage) -> Broker:
    return SimulatedBroker(stage.venue, stage.now)
