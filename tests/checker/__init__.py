"""Holds a run against the invariants I1-I16: the venue's ledger is the truth, our database has to agree with it."""

from tests.checker.facts import Death, Facts, read, texts
from tests.checker.figures import Figures, measure
from tests.checker.invariants import INVARIANTS, check

__all__ = ["INVARIANTS", "Death", "Facts", "Figures", "check", "measure", "read", "texts"]
