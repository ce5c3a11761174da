"""Laws of the data: round trip, cutting, thinning, and what fits an environment."""

import numpy as np
import pytest

import envs
from gail_suite.demonstrations import Demonstrations, Provenance
from gail_suite.errors import InputError
from tests.gail_suite import toy_envs  # noqa: F401  # registers them


def make(lengths=(1000, 1000), n_obs=3, n_acts=2, env_id=None, rewards=True) -> Demonstrations:
    """Every row can be told from every other: obs counts up, and acts, next_obs and rewards follow from it."""
    n = sum(lengths)
    step = np.arange(n, dtype=np.float32)
    return Demonstrations(
        obs=np.repeat(step[:, None], n_obs, axis=1),
        acts=np.repeat(-step[:, None] / n, n_acts, axis=1),
        next_obs=np.repeat(step[:, None] + 1, n_obs, axis=1),
        terminated=np.isin(np.arange(n), np.cumsum(lengths) - 1),
        rewards=step if rewards else None,
        episode=np.repeat(np.arange(len(lengths)), lengths),
        provenance=Provenance(
            env_id=env_id,
            source="a test",
            lengths=tuple(lengths),
            returns=tuple(float(i) for i in range(len(lengths))) if rewards else None,
            complete=(True,) * len(lengths),
            seed=3,
            env_kwargs={"a": 1},
            versions={"numpy": "2"},
        ),
    )


@pytest.mark.parametrize("rewards", [True, False])
@pytest.mark.parametrize("n_acts", [2, 0])
def test_a_saved_file_comes_back_whole(tmp_path, rewards, n_acts):
    demos = make((5, 3), n_acts=n_acts, rewards=rewards)
    demos.save(tmp_path / "new" / "d.npz")
    again = Demonstrations.load(tmp_path / "new" / "d.npz")
    assert again.provenance == demos.provenance
    assert again.arrays().keys() == demos.arrays().keys()
    for name, array in demos.arrays().items():
        assert array.dtype == again.arrays()[name].dtype
        np.testing.assert_array_equal(array, again.arrays()[name])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["d.npz"]


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "d.npz"
    make((5, 3)).save(path)

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        make((7,)).save(path)
    assert caught.value.filename == str(path)
    assert Demonstrations.load(path).n_episodes == 2
    assert list(tmp_path.iterdir()) == [path]


def test_subsampling_keeps_pairs_and_one_in_twenty_of_each_episode():
    demos = make((1000, 1000, 7))
    thin = demos.subsample(20, seed=0)
    assert np.bincount(thin.episode).tolist() == [50, 50, 1]
    np.testing.assert_array_equal(thin.next_obs, thin.obs + 1)
    np.testing.assert_array_equal(thin.acts[:, 0], -thin.obs[:, 0] / len(demos))
    np.testing.assert_array_equal(thin.rewards, thin.obs[:, 0])
    steps = thin.obs[thin.episode == 0, 0]
    assert set(np.diff(steps)) == {20}
    offsets = {make((100, 100)).subsample(20, seed=s).obs[0, 0] for s in range(40)}
    assert len(offsets) > 10
    assert thin.provenance.lengths == demos.provenance.lengths
    assert thin.returns == demos.returns
    assert thin.provenance.subsampled_every == 20
    np.testing.assert_array_equal(thin.obs, demos.subsample(20, seed=0).obs)


def test_each_episode_has_an_offset_of_its_own():
    thin = make((200,) * 20).subsample(20, seed=1)
    first = [thin.obs[thin.episode == i][0, 0] % 200 for i in range(20)]
    assert len(set(first)) > 5


def test_take_keeps_the_first_episodes_and_their_record():
    demos = make((4, 5, 6))
    two = demos.take(2)
    assert (len(two), two.n_episodes) == (9, 2)
    assert two.provenance.lengths == (4, 5)
    assert two.returns == (0.5, 0.5, 0.0, 1.0, 2)
    np.testing.assert_array_equal(two.obs, demos.obs[:9])
    for n in (0, 4):
        with pytest.raises(InputError, match="of the 3 in a test"):
            demos.take(n)


def test_transitions_are_the_arrays():
    demos = make((4,))
    batch = demos.transitions()
    np.testing.assert_array_equal(batch.next_obs, demos.next_obs)
    np.testing.assert_array_equal(batch.terminated, [False, False, False, True])


def test_the_checksum_sees_every_array():
    demos = make((4,))
    sums = {demos.checksum}
    for name in demos.arrays():
        changed = dict(demos.arrays())
        changed[name] = changed[name].copy()
        changed[name].flat[0] = 1 - changed[name].flat[0]
        sums.add(Demonstrations.from_arrays(changed, demos.provenance).checksum)
    assert len(sums) == 7


def fit_counting(**changes) -> Demonstrations:
    demos = make((4,), n_obs=2, n_acts=1, env_id="Counting-v0")
    return Demonstrations.from_arrays({**demos.arrays(), **changes}, demos.provenance)


def test_demonstrations_of_the_task_are_accepted():
    venv = envs.make_venv("Counting-v0", 1, 0)
    without_actions, without_id = fit_counting(acts=np.zeros((4, 0), np.float32)), make((4,), n_obs=2, n_acts=1)
    for demos in (fit_counting(), without_actions, without_id):
        assert demos.validate(venv) is None  # a refusal is an exception


@pytest.mark.parametrize(
    ("demos", "env_id", "both_sides"),
    [
        (fit_counting(), "Endless-v0", "recorded in Counting-v0, not in Endless-v0"),
        (make((4,), n_obs=3, n_acts=1), "Counting-v0", "have 3 observations, Counting-v0 has 2"),
        (make((4,), n_obs=2, n_acts=2), "Counting-v0", "actions of size 2, Counting-v0 has Box(1,) float32"),
        (fit_counting(acts=np.full((4, 1), 3.0, np.float32)), "Counting-v0", "from 3 to 3, Counting-v0 takes -1 to 1"),
        (fit_counting(obs=np.full((4, 2), np.nan, np.float32)), "Counting-v0", "the obs .* NaN"),
        (make((4,), n_obs=2, n_acts=3), "CountingChoice-v0", "no choices, CountingChoice-v0 has Discrete(3)"),
        (make((4,), n_obs=2, n_acts=2), "CountingChoice-v0", "actions of size 2, CountingChoice-v0 has Discrete(3)"),
        (make((4,)), "Odd-image-v0", "Odd-image-v0 has Box(8, 8, 3) uint8 observations"),
        (make((4,)), "Odd-dict-v0", "Odd-dict-v0 has Dict observations"),
        (make((4,)), "Odd-multi-v0", "Odd-multi-v0 has MultiDiscrete"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides_named(demos, env_id, both_sides):
    with pytest.raises(InputError, match=both_sides.replace("(", r"\(").replace(")", r"\)")) as caught:
        demos.validate(envs.make_venv(env_id, 1, 0))
    assert "\n" not in str(caught.value)


def test_no_transitions_are_refused():
    demos = make((4,), n_obs=2, n_acts=1)
    none = Demonstrations.from_arrays({k: v[:0] for k, v in demos.arrays().items()}, demos.provenance)
    with pytest.raises(InputError, match="hold no transitions"):
        none.validate(envs.make_venv("Counting-v0", 1, 0))
