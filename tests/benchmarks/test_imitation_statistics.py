"""Statistics with known answers."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.imitation import published
from benchmarks.imitation import statistics as statistics_


def rows(variant: str, values: list[float], episodes: list[float] | None = None) -> list[dict]:
    return [
        {
            "variant": variant,
            "seed": seed,
            "normalised_return": value,
            "normalised_episodes": episodes or [],
            "curve": [],
        }
        for seed, value in enumerate(values)
    ]


def test_interquartile_mean_of_known_numbers():
    assert statistics_.iqm([0.0, 1.0, 2.0, 100.0]) == 1.5  # the mean of the middle two
    np.testing.assert_array_equal(statistics_.iqm([[1.0, 3.0], [2.0, 4.0]], axis=1), [2.0, 3.0])


def test_interval_agrees_with_scipy_s_bootstrap_of_one_stratum():
    values = np.random.default_rng(1).normal(0.8, 0.1, 12)
    found = statistics_.estimate_iqm([values])
    theirs = stats.bootstrap(
        (values,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    np.testing.assert_allclose([found.low, found.high], [theirs.low, theirs.high], atol=0.005)
    assert found.value == statistics_.iqm(values)


def test_interval_of_tasks_far_apart_does_not_mix_them():
    """Runs are drawn within tasks: were they pooled, the share of the good task would vary and with it the mean."""
    easy, hard = np.full(4, 1.0), np.full(4, 0.0)
    found = statistics_.estimate_iqm([easy, hard])
    assert found == (0.5, 0.5, 0.5)
    assert statistics_.estimate_iqm([[0.3], [0.5]]) == (pytest.approx(0.4), None, None)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        found = statistics_.estimate_iqm([rng.normal(size=20)])
        hits += found.low < 0 < found.high
    assert 0.88 < hits / 200 < 0.99


def test_probability_of_improvement_is_mann_whitney_over_pairs():
    x, y = [0.2, 0.5, 0.9], [0.5, 0.1]
    found = statistics_.improvement([x], [y])
    expected = stats.mannwhitneyu(x, y).statistic / 6
    assert found.value == pytest.approx(expected) == pytest.approx(4.5 / 6)
    assert statistics_.improvement([[1.0, 2.0]], [[0.0, 0.5]]) == (1.0, 1.0, 1.0)
    assert statistics_.improvement([[1.0, 1.0]], [[1.0, 1.0]]).value == 0.5
    assert statistics_.improvement([[1.0], [0.0]], [[0.0], [1.0]]) == (0.5, None, None)


def test_profile_counts_the_scores_above_each_tau():
    found = statistics_.profile([[0.0, 0.5, 0.5, 1.0], [2.0]], taus=[-1.0, 0.5, 1.5])
    np.testing.assert_allclose(found, [1.0, (0.25 + 1) / 2, 0.5])
    assert (np.diff(statistics_.profile([np.random.default_rng(0).normal(size=50)])) <= 0).all()


def test_curve_is_straight_between_looks_and_ends_where_a_run_ends():
    found = statistics_.curve([([0, 10], [0.0, 1.0]), ([0, 5, 20], [0.0, 0.5, 2.0])], n_points=3)
    assert found["x"] == [0.0, 5.0, 10.0]
    np.testing.assert_allclose(found["iqm"], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(found["low"], found["high"])
    assert statistics_.curve([([0], [0.25])])["low"] is None


def test_a_single_seed_is_judged_by_its_episodes_and_several_by_their_spread():
    one = statistics_.of_variant(rows("a", [0.5], [0.4, 0.5, 0.6]))
    assert one is not None
    assert (one["over"], one["n_seeds"], one["n_episodes"]) == ("episodes", 1, 3)
    several = statistics_.of_variant(rows("a", [0.4, 0.5, 0.6], [0.0, 9.0]))
    assert several is not None
    assert several["over"] == "seeds"
    assert several["iqm"] == pytest.approx(0.5)
    assert statistics_.of_variant(rows("a", [0.5])) | {"ci95": None} == statistics_.of_variant(rows("a", [0.5]))


def test_a_study_sets_its_first_variant_against_the_others():
    found = statistics_.of_study([*rows("ours", [0.9, 1.0]), *rows("theirs", [0.1, 0.2])])
    assert found["improvement"] == [{"of": "ours", "over": "theirs", "p": 1.0, "ci95": [1.0, 1.0]}]
    assert statistics_.of_study([])["variants"] == {}


def test_across_tasks_only_what_all_tasks_have():
    first = {"rows": [*rows("ours", [1.0, 0.8]), *rows("theirs", [0.5, 0.5])]}
    second = {"rows": [*rows("ours", [0.6, 0.4]), *rows("theirs", [0.7, 0.7]), *rows("other", [0.0])]}
    ours, theirs = statistics_.across_tasks([first, second])
    assert (ours["variant"], ours["n_runs"], ours["iqm"]) == ("ours", 4, pytest.approx(0.7))
    assert theirs["first_is_better"]["p"] == 0.5  # always in one task, never in the other


def test_the_paper_s_shares_stand_beside_ours_where_the_data_are_the_same():
    run = {"variant": "gail", "n_demos": 4, "subsample": 20, "return_mean": 5570.5342047500735}
    (shown,) = published.beside_paper([{"env": "Ant-v4", "rows": [run]}])
    assert shown[0] == "Ant-v4, 4 x every 20th pair"
    assert shown[1:4] == ["1.00", "-", "-"]  # the demonstrator's own mean
    assert shown[4] == "0.75"  # 3186.8 of 4228.4
    assert published.beside_paper([{"env": "Ant-v4", "rows": [run | {"n_demos": 5}]}]) == []
    assert published.beside_paper([{"env": "Swimmer-v4", "rows": [run]}]) == []
    assert published.n_demos_of("Humanoid-v4") == (80, 160, 240)
    for known in published.PUBLISHED.values():
        assert all(set(values) == set(known.returns["GAIL"]) for values in known.returns.values())
