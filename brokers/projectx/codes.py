"""What the venue's error codes mean, endpoint by endpoint, and what each endpoint's failures prove.

Codes are per endpoint: 5 is "outside trading hours" on a place, "unknown error" on a cancel. 0 is success everywhere. A
code that is not listed is kept as a number and proves nothing.
Source: ProjectX swagger of March 2026 and its September additions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from brokers.base import BrokerError, LoginFailed, NotSent, OutcomeUnknown, ReadFailed, Refused
from brokers.projectx import wire

T = TypeVar("T")


class NoCode(IntEnum):
    """Endpoints without documented codes."""


class LoginCode(IntEnum):
    USER_NOT_FOUND = 1
    PASSWORD_VERIFICATION_FAILED = 2
    INVALID_CREDENTIALS = 3
    APP_NOT_FOUND = 4
    APP_VERIFICATION_FAILED = 5
    INVALID_DEVICE = 6
    AGREEMENTS_NOT_SIGNED = 7  # a person has to sign them in the platform
    UNKNOWN_ERROR = 8
    API_SUBSCRIPTION_NOT_FOUND = 9  # not subscribed to the API, or not linked to this login
    API_KEY_AUTHENTICATION_DISABLED = 10


class ValidateCode(IntEnum):
    INVALID_SESSION = 1
    SESSION_NOT_FOUND = 2
    EXPIRED_TOKEN = 3
    UNKNOWN_ERROR = 4


class LogoutCode(IntEnum):
    INVALID_SESSION = 1
    UNKNOWN_ERROR = 2


class OrderCode(IntEnum):
    ORDER_NOT_FOUND = 1


class AccountCode(IntEnum):
    """Searches of orders, positions and trades."""

    ACCOUNT_NOT_FOUND = 1


class ContractCode(IntEnum):
    CONTRACT_NOT_FOUND = 1


class BarsCode(IntEnum):
    CONTRACT_NOT_FOUND = 1
    UNIT_INVALID = 2
    UNIT_NUMBER_INVALID = 3
    LIMIT_INVALID = 4


class PlaceCode(IntEnum):
    ACCOUNT_NOT_FOUND = 1
    ORDER_REJECTED = 2  # brackets, tag in use, trail distance: only the text tells which
    INSUFFICIENT_FUNDS = 3
    ACCOUNT_VIOLATION = 4
    OUTSIDE_TRADING_HOURS = 5
    ORDER_PENDING = 6
    UNKNOWN_ERROR = 7
    CONTRACT_NOT_FOUND = 8
    CONTRACT_NOT_ACTIVE = 9
    ACCOUNT_REJECTED = 10


class CancelCode(IntEnum):
    ACCOUNT_NOT_FOUND = 1
    ORDER_NOT_FOUND = 2
    REJECTED = 3
    PENDING = 4
    UNKNOWN_ERROR = 5
    ACCOUNT_REJECTED = 6


class ModifyCode(IntEnum):
    ACCOUNT_NOT_FOUND = 1
    ORDER_NOT_FOUND = 2
    REJECTED = 3
    PENDING = 4
    UNKNOWN_ERROR = 5
    ACCOUNT_REJECTED = 6
    CONTRACT_NOT_FOUND = 7


class CloseCode(IntEnum):
    ACCOUNT_NOT_FOUND = 1
    POSITION_NOT_FOUND = 2  # already flat
    CONTRACT_NOT_FOUND = 3
    CONTRACT_NOT_ACTIVE = 4
    ORDER_REJECTED = 5
    ORDER_PENDING = 6
    UNKNOWN_ERROR = 7
    ACCOUNT_REJECTED = 8


class PartialCloseCode(IntEnum):
    ACCOUNT_NOT_FOUND = 1
    POSITION_NOT_FOUND = 2  # already flat
    CONTRACT_NOT_FOUND = 3
    CONTRACT_NOT_ACTIVE = 4
    INVALID_CLOSE_SIZE = 5
    ORDER_REJECTED = 6
    ORDER_PENDING = 7
    UNKNOWN_ERROR = 8
    ACCOUNT_REJECTED = 9


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[T]):
    """One path of the API.

    answer     shape of its answer
    codes      its documented codes, those in `ambiguous` prove nothing
    lost       what we raise when an answer, or its absence, proves nothing
    refused    what we raise for a documented code that proves that nothing happened
    max_bytes  longest body we read
    """

    path: str
    answer: type[wire.Answer[T]]
    codes: type[IntEnum]
    lost: type[BrokerError]
    refused: type[BrokerError]
    ambiguous: frozenset[int] = frozenset()
    max_bytes: int = 16_000_000

    @property
    def mutates(self) -> bool:
        """Return whether a call may change something at the venue."""
        return self.lost is OutcomeUnknown

    def meaning(self, code: int) -> str | None:
        """Return the documented name of `code`, None for one we do not know."""
        return next((known.name for known in self.codes if known == code), None)


def _read(path: str, answer: type[wire.Answer[T]], codes: type[IntEnum] = AccountCode) -> Endpoint[T]:
    return Endpoint(path, answer, codes, lost=ReadFailed, refused=ReadFailed)


def _mutation(path: str, answer: type[wire.Answer[T]], codes: type[IntEnum], *ambiguous: IntEnum) -> Endpoint[T]:
    return Endpoint(path, answer, codes, OutcomeUnknown, Refused, frozenset(map(int, ambiguous)), max_bytes=64_000)


LOGIN = Endpoint(
    "/api/Auth/loginKey",
    wire.LoginAnswer,
    LoginCode,
    NotSent,
    LoginFailed,
    frozenset({int(LoginCode.UNKNOWN_ERROR)}),
    max_bytes=64_000,
)
VALIDATE = Endpoint(
    "/api/Auth/validate",
    wire.ValidateAnswer,
    ValidateCode,
    NotSent,
    LoginFailed,
    frozenset({int(ValidateCode.UNKNOWN_ERROR)}),
    max_bytes=64_000,
)
LOGOUT = Endpoint(
    "/api/Auth/logout",
    wire.Done,
    LogoutCode,
    NotSent,
    LoginFailed,
    frozenset({int(LogoutCode.UNKNOWN_ERROR)}),
    max_bytes=64_000,
)
ACCOUNTS = _read("/api/Account/search", wire.AccountsAnswer, NoCode)
CONTRACTS = _read("/api/Contract/available", wire.ContractsAnswer, NoCode)
SEARCH_CONTRACTS = _read("/api/Contract/search", wire.ContractsAnswer, NoCode)
CONTRACT = Endpoint("/api/Contract/searchById", wire.ContractAnswer, ContractCode, ReadFailed, Refused)
BARS = _read("/api/History/retrieveBars", wire.BarsAnswer, BarsCode)
ORDERS = _read("/api/Order/search", wire.OrdersAnswer)
OPEN_ORDERS = _read("/api/Order/searchOpen", wire.OrdersAnswer)
ORDER = Endpoint("/api/Order/searchById", wire.OrderAnswer, OrderCode, ReadFailed, Refused)
QUERY = _read("/api/Order/v2/query", wire.QueryAnswer)
POSITIONS = _read("/api/Position/searchOpen", wire.PositionsAnswer)
TRADES = _read("/api/Trade/search", wire.TradesAnswer)
PLACE = _mutation("/api/Order/place", wire.PlaceAnswer, PlaceCode, PlaceCode.ORDER_PENDING, PlaceCode.UNKNOWN_ERROR)
CANCEL = _mutation("/api/Order/cancel", wire.Done, CancelCode, CancelCode.PENDING, CancelCode.UNKNOWN_ERROR)
MODIFY = _mutation("/api/Order/modify", wire.Done, ModifyCode, ModifyCode.PENDING, ModifyCode.UNKNOWN_ERROR)
CLOSE = _mutation("/api/Position/closeContract", wire.Done, CloseCode, CloseCode.ORDER_PENDING, CloseCode.UNKNOWN_ERROR)
PARTIAL_CLOSE = _mutation(
    "/api/Position/partialCloseContract",
    wire.Done,
    PartialCloseCode,
    PartialCloseCode.ORDER_PENDING,
    PartialCloseCode.UNKNOWN_ERROR,
)
