"""Searching: what may vary, what is kept, what is chosen before it is used."""

from __future__ import annotations

import pytest

from backtest.axes import Axis, check, combinations, grid
from backtest.evaluation import Evaluator, OtherSearch, key
from backtest.optimiser import OBJECTIVES, Method, search
from backtest.walk_forward import walk_forward
from tests.backtest.toys import SESSIONS, job

AXES = (Axis.of("side=1,-1"), Axis.of("target=20:80:20"))
ALL = slice(None)


def found(evaluator: Evaluator, **options):
    return search(
        evaluator,
        options.pop("axes", AXES),
        **{"objective": OBJECTIVES["net"], "method": Method.GRID, "trials": 40, "rows": ALL, **options},
    )


class TestAxes:
    def test_lists_and_ranges(self):
        assert Axis.of("stop_atr=1:2:0.25").values == ("1", "1.25", "1.5", "1.75", "2")
        assert Axis.of("edge=near, far") == Axis("edge", ("near", "far"), False)
        assert combinations(AXES) == len(list(grid(AXES))) == 8

    @pytest.mark.parametrize(
        "typed", ["target", "=3", "target=", "target=1:2", "target=2:1:1", "target=1:9:0", "a=1:x:1"]
    )
    def test_anything_else_is_refused(self, typed):
        with pytest.raises(ValueError, match=r"NAME|range"):
            Axis.of(typed)

    def test_a_range_without_end_is_refused(self):
        with pytest.raises(ValueError, match="at most 10000"):
            Axis.of("target=0:1000000:0.001")

    def test_a_parameter_given_twice_is_refused(self):
        with pytest.raises(ValueError, match="given twice"):
            check([*AXES, AXES[0]])


class TestSearch:
    def test_the_grid_finds_the_best(self):
        with Evaluator(job(), processes=1) as evaluator:
            best, *others = found(evaluator)
        assert (best.values, len(others)) == ({"side": "1", "target": "80"}, 7)
        assert best.score == pytest.approx(len(SESSIONS) * 80 * 0.5)

    @pytest.mark.parametrize("method", [Method.TPE, Method.GENETIC])
    def test_samplers_find_it_too_and_a_seed_repeats(self, method):
        with Evaluator(job(), processes=1) as evaluator:
            once, again = (found(evaluator, method=method, seed=4) for _ in range(2))
        assert once[0].values == {"side": "1", "target": "80"}
        assert [trial.values for trial in once] == [trial.values for trial in again]

    def test_what_cannot_be_simulated_says_why_and_is_never_best(self):
        with Evaluator(job(), processes=1) as evaluator:
            trials = found(evaluator, axes=(Axis.of("target=80,95"),))
        assert [trial.why for trial in trials] == ["", "target: 95 is too far"]

    def test_too_few_trades_are_not_judged(self):
        with Evaluator(job(), processes=1) as evaluator:
            (best, *_) = found(evaluator, least_trades=1000)
        assert "at least 1000 are wanted" in best.why

    def test_the_objective_sees_its_sessions_alone(self):
        with Evaluator(job(turns_on=20), processes=1) as evaluator:
            early, late = found(evaluator, rows=slice(0, 20))[0], found(evaluator, rows=slice(20, None))[0]
        assert (early.values["side"], late.values["side"]) == ("1", "-1")

    def test_two_processes_compute_what_one_computes(self):
        with Evaluator(job(), processes=1) as alone, Evaluator(job(), processes=2) as both:
            wanted = list(grid(AXES))
            one, two = alone.evaluate(wanted), both.evaluate(wanted)
        assert {name: days.net.tolist() for name, days in one.items()} == {
            name: days.net.tolist() for name, days in two.items()
        }


class TestJournal:
    def test_a_search_goes_on_where_it_was_broken_off(self, tmp_path):
        journal = tmp_path / "searches" / "toy.jsonl"

        class Stopped(Exception):
            pass

        def stop(done: int) -> None:
            if done == 3:
                raise Stopped

        with pytest.raises(Stopped), Evaluator(job(), processes=1, journal=journal) as evaluator:
            evaluator.evaluate(grid(AXES), stop)
        with journal.open("a") as file:
            file.write('{"values": {"si')  # killed while it wrote
        asked = []
        with Evaluator(job(), processes=1, journal=journal) as evaluator:
            assert len(evaluator.known) == 3
            results = evaluator.evaluate(grid(AXES), asked.append)
        assert asked[0] == 3
        with Evaluator(job(), processes=1) as fresh:
            again = fresh.evaluate(grid(AXES))
        assert [days.net.tolist() for days in results.values()] == [days.net.tolist() for days in again.values()]
        assert key({"b": "1", "a": "2"}) == key({"a": "2", "b": "1"})

    def test_the_journal_of_another_search_is_refused(self, tmp_path):
        journal = tmp_path / "toy.jsonl"
        with Evaluator(job(), processes=1, journal=journal):
            pass
        with pytest.raises(OtherSearch, match=r"\(strategy differ\)"):
            Evaluator(job(strategy="other"), processes=1, journal=journal)
        with pytest.raises(OtherSearch, match="the bars differ"):
            Evaluator(job(turns_on=3), processes=1, journal=journal)


class TestWalkForward:
    def test_every_window_uses_what_was_chosen_before_it(self):
        with Evaluator(job(turns_on=20), processes=1) as evaluator:
            walk = walk_forward(
                evaluator,
                AXES,
                objective=OBJECTIVES["net"],
                method=Method.GRID,
                trials=1,
                sessions=40,
                train=10,
                test=10,
            )
        chosen = [window.values and window.values["side"] for window in walk.windows]
        assert chosen == ["1", "1", "-1"]  # the market turns after 20 sessions; the second choice has not seen it
        assert [window.tested_score for window in walk.windows] == pytest.approx([400.0, -200.0, 400.0])
        assert len(walk.days) == 30
        assert walk.days.net.sum() == 600 * 10_000
        side, target = walk.stability
        assert (side.common, side.spread) == (pytest.approx(2 / 3, abs=1e-4), pytest.approx(0.4714, abs=1e-4))
        assert (target.common, target.spread) == (1.0, 0.0)

    def test_too_few_sessions_are_refused(self):
        with Evaluator(job(), processes=1) as evaluator, pytest.raises(ValueError, match="too few for one window"):
            walk_forward(
                evaluator,
                AXES,
                objective=OBJECTIVES["net"],
                method=Method.GRID,
                trials=1,
                sessions=15,
                train=10,
                test=10,
            )
