"""The compiled loop is the plain one: any bars, any signals, every policy, to the last column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtest import compiled, reference
from backtest.codes import Policy
from tests.backtest.generated import runs

TABLES = ("orders", "trades", "refused")


@pytest.mark.timeout(300)  # the first call of a fresh checkout compiles the kernel
@pytest.mark.parametrize("policy", Policy)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_kernel_and_reference_write_the_same_orders_trades_and_refusals(policy: Policy, data: Any):
    arguments = data.draw(runs(policy))
    for name, fast, plain in zip(TABLES, compiled.kernel().run(*arguments), reference.run(*arguments), strict=True):
        np.testing.assert_array_equal(fast, plain, err_msg=name)
