"""Our supervisor over the Procfile: one process dying stops no other, and a killed supervisor stops none."""

from tradingbot.supervisor.children import Child, Place
from tradingbot.supervisor.groups import end_leftovers
from tradingbot.supervisor.supervisor import Supervisor

__all__ = ["Child", "Place", "Supervisor", "end_leftovers"]
