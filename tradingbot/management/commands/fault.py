"""`manage.py fault`: let the simulated venue go wrong, on purpose."""

from __future__ import annotations

import argparse
import json
from typing import Any

import httpx
import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers.simulated.faults import CALLS, Effect, Lag, Legless, Rule, Skew
from brokers.simulated.faults_events import BothSides, CanTrade, Fill, Foreign, Void
from brokers.simulated.faults_http import token_file
from brokers.simulated.faults_hubs import EndTokens, HubFault
from brokers.simulated.switches import Switch
from brokers.simulated.switches import typed as typed_switches

_HUB_SWITCHES = {
    "silent": "no event leaves, pings go on",
    "mute": "not even pings leave",
    "logout": "every connection gets a GatewayLogout, once",
}


class Command(BaseCommand):
    help = "Let the simulated venue go wrong: requests that fail, and things that happen there without us."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.VENUE_URL, help="address of the venue (VENUE_URL)")
        kinds = parser.add_subparsers(dest="kind", required=True)
        kinds.add_parser("list", help="show the faults in force")
        clear = kinds.add_parser("clear", help="end them")
        clear.add_argument("--account", type=int, help="only those of an account")
        request = kinds.add_parser("request", help="requests that go wrong")
        request.add_argument("effect", choices=[effect.value for effect in Effect])
        request.add_argument(
            "--call", action="append", default=[], choices=sorted(CALLS), help="repeatable; default all"
        )
        request.add_argument("--account", type=int, help="only requests that name this account")
        request.add_argument("--count", type=int, default=1, help="how many at most; 0: all (default 1)")
        request.add_argument("--rate", type=float, default=1.0, help="share of them, above 0 to 1")
        request.add_argument("--seed", type=int, default=0, help="of the draw")
        request.add_argument("--seconds", type=float, help="until it takes effect, or the connection is cut")
        lag = kinds.add_parser("lag", help="lists do not show what is younger than so many seconds; 0 ends it")
        lag.add_argument("seconds", type=float)
        lag.add_argument("--account", type=int)
        skew = kinds.add_parser("skew", help="the venue's clock is off by so many seconds; 0 ends it")
        skew.add_argument("seconds", type=float)
        legless = kinds.add_parser("legless", help="the next orders are taken without their bracket legs")
        legless.add_argument("--account", type=int)
        legless.add_argument("--count", type=int, default=1)
        hubs = kinds.add_parser("hubs", help="events are lost, repeated, shuffled; hubs fall silent or away")
        for share in ("lost", "duplicated", "reordered"):
            hubs.add_argument(f"--{share}", type=float, metavar="SHARE", help="of the user events, 0 to 1")
        for name, words in _HUB_SWITCHES.items():
            hubs.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=None, help=words)
        hubs.add_argument("--drop", choices=["user", "market", "both"], help="cut these connections once")
        hubs.add_argument("--refuse", type=int, metavar="STATUS", help="of every new connection; `clear` ends it")
        switch = kinds.add_parser("switch", help="how the venue behaves where nobody documents the real one")
        switch.add_argument("switch", nargs="+", metavar="NAME=VALUE", help="e.g. bars_order=oldest form=bare")
        kinds.add_parser("tokens", help="every token that was given is refused from now on")
        fill = kinds.add_parser("fill", help="a working order is filled at the last price")
        fill.add_argument("order", type=int, help="the venue's id")
        fill.add_argument("--quantity", type=int, help="contracts; default all")
        both = kinds.add_parser("both", help="both entries of a breakout pair are filled at once")
        both.add_argument("account", type=int)
        foreign = kinds.add_parser("foreign", help="somebody places an order by hand at the platform")
        foreign.add_argument("account", type=int)
        foreign.add_argument("contract", help="the venue's id, e.g. CON.F.US.MNQ.Z26")
        foreign.add_argument("side", choices=["buy", "sell"])
        foreign.add_argument("--size", type=int, default=1)
        foreign.add_argument("--stop", help="price in points of a stop; default a market order")
        void = kinds.add_parser("void", help="the venue takes an execution back")
        void.add_argument("execution", type=int)
        lock = kinds.add_parser("lock", help="the account may not trade")
        lock.add_argument("account", type=int)
        unlock = kinds.add_parser("unlock", help="the account may trade again")
        unlock.add_argument("account", type=int)

    def handle(self, **options: Any) -> str:
        try:
            token = token_file(settings.VENUE_LEDGER).read_text()
        except OSError as error:
            raise CommandError(f"no venue of this installation has run: {error}") from error
        try:
            method, params, body = _request(options)
        except ValueError as error:
            raise CommandError(str(error)) from error
        try:
            answer = httpx.request(
                method,
                f"{options['url']}/_faults",
                params=params,
                content=body,
                headers={"authorization": f"Bearer {token}"},
                timeout=10,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise CommandError(f"the venue at {options['url']} does not answer: {error}") from error
        if answer.status_code != 200:
            said = answer.json()["error"] if answer.status_code == 400 else f"HTTP {answer.status_code}"
            raise CommandError(f"the venue refuses: {said}")
        return "\n".join(json.dumps(fault) for fault in answer.json()["faults"]) or "no faults in force"


def _request(options: dict[str, Any]) -> tuple[str, dict[str, Any], bytes]:
    """Return method, parameters and body of what was typed."""
    if options["kind"] == "list":
        return "GET", {}, b""
    if options["kind"] == "clear":
        return "DELETE", {} if options["account"] is None else {"account": options["account"]}, b""
    return "POST", {}, msgspec.json.encode(_fault(argparse.Namespace(**options)))


def _fault(typed: argparse.Namespace) -> Any:
    match typed.kind:
        case "request":
            return Rule(
                effect=Effect(typed.effect),
                calls=typed.call,
                account_id=typed.account,
                count=typed.count or None,
                rate=typed.rate,
                seed=typed.seed,
                seconds=typed.seconds,
            )
        case "lag":
            return Lag(typed.seconds, typed.account)
        case "skew":
            return Skew(typed.seconds)
        case "legless":
            return Legless(typed.account, typed.count)
        case "hubs":
            names = HubFault.__struct_fields__
            return HubFault(**{name: value for name in names if (value := getattr(typed, name)) is not None})
        case "switch":
            return Switch(typed_switches(typed.switch))
        case "tokens":
            return EndTokens()
        case "fill":
            return Fill(typed.order, typed.quantity)
        case "both":
            return BothSides(typed.account)
        case "foreign":
            return Foreign(typed.account, typed.contract, ["buy", "sell"].index(typed.side), typed.size, typed.stop)
        case "void":
            return Void(typed.execution)
        case _:
            return CanTrade(typed.account, typed.kind == "unlock")
