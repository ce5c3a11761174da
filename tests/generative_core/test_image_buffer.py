"""The history of a generator: which events come back, how often, and that a saved one goes on alike."""

import torch

from generative_core.translation.image_buffer import ImageBuffer


def numbered(first: int, n: int) -> torch.Tensor:
    """n events (1,) that say which they are."""
    return torch.arange(first, first + n, dtype=torch.float32)[:, None]


def test_it_returns_what_is_new_until_it_is_full():
    buffer = ImageBuffer((1,), size=6)
    random = torch.Generator().manual_seed(0)
    for first in (0, 3):
        assert torch.equal(buffer(numbered(first, 3), generator=random), numbered(first, 3))
    assert torch.equal(buffer.images, numbered(0, 6))


def test_a_full_one_returns_an_old_event_half_of_the_time_and_keeps_the_new_one_instead():
    buffer = ImageBuffer((1,), size=10)
    random = torch.Generator().manual_seed(0)
    buffer(numbered(0, 10), generator=random)
    n, n_old, seen = 2000, 0, []
    for i in range(n):
        new = numbered(10 + i, 1)
        kept_before = buffer.images.clone()
        returned = buffer(new, generator=random)
        changed = buffer.images != kept_before
        if torch.equal(returned, new):
            assert not changed.any()
        else:
            n_old += 1
            assert changed.sum() == 1
            assert kept_before[changed] == returned  # the old one has left
            assert buffer.images[changed] == new  # and the new one has its place
            seen.append(int(changed.nonzero()[0, 0]))
    assert abs(n_old / n - 0.5) < 0.05
    assert torch.tensor(seen).bincount(minlength=10).min() > 60  # uniform: 100 each


def test_within_a_batch_the_first_events_can_come_back_as_old_ones():
    buffer = ImageBuffer((1,), size=1)
    returned = buffer(numbered(0, 200), generator=torch.Generator().manual_seed(0))
    assert not torch.equal(returned, numbered(0, 200))
    assert set(returned.flatten().tolist()) <= set(range(200))


def test_evaluation_and_size_zero_leave_all_as_it_is():
    buffer = ImageBuffer((1,), size=4).eval()
    assert torch.equal(buffer(numbered(7, 3)), numbered(7, 3))
    assert buffer.n_kept == 0
    assert torch.equal(ImageBuffer((1,), size=0)(numbered(7, 3)), numbered(7, 3))


def test_a_saved_history_goes_on_alike():
    first, second = ImageBuffer((1,), size=4), ImageBuffer((1,), size=4)
    random = torch.Generator().manual_seed(0)
    first(numbered(0, 6), generator=random)
    second.load_state_dict(first.state_dict())
    draws = [buffer(numbered(6, 20), generator=torch.Generator().manual_seed(5)) for buffer in (first, second)]
    assert torch.equal(*draws)
    assert torch.equal(first.images, second.images)
    assert not torch.equal(draws[0], numbered(6, 20))
