"""The conformance suite on our venue: in process, and through the ProjectX client over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from brokers.base import Broker, Lane
from brokers.projectx import Gateway, Login, MemoryTokens, ProjectX
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
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


class _Unlimited:
    """A budget that never ends."""

    def take(self, lane: Lane, *, wait: bool) -> None:
        pass


def _in_process(stage: Stage) -> Broker:
    return SimulatedBroker(stage.venue, stage.now)
