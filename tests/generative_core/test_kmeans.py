"""K-means."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans
from torch.testing import assert_close

from generative_core import KMeans
from tests.generative_core.mixture_laws import blobs, seeded

X, LABEL = blobs()


def uniform(n: int, d: int = 2) -> torch.Tensor:
    return torch.rand(n, d, generator=seeded(), dtype=torch.float64)


def test_it_finds_the_blobs():
    model = KMeans((2,), n_clusters=3).double().fit(X, generator=seeded())
    assigned = model.assign(X)
    means = torch.stack([X[k == LABEL].mean(0) for k in range(3)])
    order = [int(assigned[200 * k]) for k in range(3)]
    assert_close(model.centres[order], means)
    assert_close(assigned, torch.tensor(order)[LABEL])


@pytest.mark.parametrize("seed", range(5))
def test_the_inertia_never_rises(seed):
    model = KMeans((2,), n_clusters=12).double().fit(uniform(500), generator=seeded(seed))
    history = np.array(model.inertia_history)
    assert len(history) > 3
    assert (np.diff(history) <= 1e-12).all()
    assert_close(model.inertia(uniform(500)).item(), history[-1], rtol=1e-10, atol=0)


def test_from_the_same_start_it_ends_where_sklearn_does():
    x, start = uniform(300, 3), uniform(8, 3)
    model = KMeans((3,), n_clusters=8).double().fit(x, centres=start)
    other = SklearnKMeans(8, init=start.numpy(), n_init=1, tol=0, algorithm="lloyd").fit(x.numpy())
    assert_close(model.centres, torch.from_numpy(other.cluster_centers_), rtol=1e-8, atol=1e-10)
    assert_close(model.inertia_history[-1], other.inertia_, rtol=1e-8, atol=0)
    assert_close(model.assign(x), torch.from_numpy(other.labels_).long())


def test_at_the_end_each_centre_is_the_mean_of_its_events():
    x = uniform(400)
    model = KMeans((2,), n_clusters=7).double().fit(x, generator=seeded())
    means = torch.stack([x[model.assign(x) == k].mean(0) for k in range(7)])
    assert_close(model.centres, means)


def test_a_centre_without_events_moves_to_the_worst_served_one():
    x = torch.tensor([[0.0], [1.0], [10.0], [30.0]], dtype=torch.float64)
    start = torch.tensor([[0.5], [12.0], [1000.0]], dtype=torch.float64)  # nobody is nearest to the third
    model = KMeans((1,), n_clusters=3).double().fit(x, centres=start)
    assert sorted(model.centres.flatten().tolist()) == [0.5, 10.0, 30.0]
    assert (np.diff(model.inertia_history) <= 0).all()


def test_more_starts_are_never_worse():
    x = uniform(300)
    one, many = (KMeans((2,), n_clusters=10, n_init=n_init).double().fit(x, generator=seeded(3)) for n_init in (1, 8))
    assert many.inertia_history[-1] < one.inertia_history[-1]


def test_as_many_clusters_as_events_leave_no_inertia_and_repeated_events_do_not_break_the_seeding():
    x = uniform(6)
    model = KMeans((2,), n_clusters=6).double().fit(x, generator=seeded())
    assert model.inertia_history[-1] < 1e-20
    same = torch.ones(6, 2, dtype=torch.float64)
    assert KMeans((2,), n_clusters=3).double().fit(same, generator=seeded()).inertia_history[-1] == 0


def test_far_from_the_origin_float32_still_tells_the_clusters_apart():
    x = X.float() + 3000
    model = KMeans((2,), n_clusters=3).fit(x, generator=seeded())
    near = KMeans((2,), n_clusters=3).fit(X.float(), generator=seeded())
    assert_close(model.assign(x), near.assign(X.float()))


def test_images_keep_their_shape_and_a_saved_instance_assigns_alike():
    images = torch.randn(40, 1, 2, 2, generator=seeded())
    model = KMeans((1, 2, 2), n_clusters=4).fit(images, generator=seeded())
    assert model.centres.shape == (4, 1, 2, 2)
    fresh = KMeans((1, 2, 2), n_clusters=4)
    with pytest.raises(RuntimeError, match=r"KMeans\.fit"):
        fresh.assign(images)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.assign(images), model.assign(images))


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match="n_clusters must be at least 1, got 0"):
        KMeans((2,), n_clusters=0)
    with pytest.raises(ValueError, match="at least 3 events, got 2"):
        KMeans((2,), n_clusters=3).fit(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"\(3, 2\), got \(2, 2\)"):
        KMeans((2,), n_clusters=3).fit(torch.zeros(5, 2), centres=torch.zeros(2, 2))
