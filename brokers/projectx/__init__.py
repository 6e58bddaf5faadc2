"""The ProjectX Gateway API, as TopstepX serves it: REST behind the port."""

from brokers.projectx.brackets import BracketSign
from brokers.projectx.client import ProjectX
from brokers.projectx.gateway import Breaker, Call, Gateway, Outcome, Timeouts
from brokers.projectx.session import Login, MemoryTokens, Tokens

__all__ = [
    "BracketSign",
    "Breaker",
    "Call",
    "Gateway",
    "Login",
    "MemoryTokens",
    "Outcome",
    "ProjectX",
    "Timeouts",
    "Tokens",
]
