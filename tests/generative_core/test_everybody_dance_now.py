"""Everybody Dance Now: the frame before matters, the head is refined where it is, and poses are fitted exactly."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import AdversarialStep, EverybodyDanceNow, normalise_poses
from generative_core.nets.crop import crop, peaks
from generative_core.nets.unet import UNet

SHAPE = (1, 16, 16)


def small(**options) -> EverybodyDanceNow:
    torch.manual_seed(0)
    net = nn.Sequential(UNet(3, 1, channels=(8, 8), norm=None), nn.Tanh())
    return EverybodyDanceNow(
        SHAPE, pose_channels=2, head_map=1, head_side=6, channels=(8,), critic_channels=(8,), generator=net, **options
    )


def batch(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """The frame is half the first pose map; the head is a point that the second map marks."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.zeros(n, 2, 2, 16, 16)
    maps[:, :, 0] = torch.rand(n, 2, 16, 16, generator=generator)
    maps[:, :, 1, 5, 9] = 1
    return 0.5 * maps[:, :, :1], maps


def test_a_video_is_made_frame_by_frame_with_the_one_before_in_view():
    model, (_, maps) = small(), batch(3)
    with torch.no_grad():
        video = model.animate(maps[:, 0], refine_heads=False)
        frame = torch.zeros(1, *SHAPE)
        for t in range(3):
            frame = model.generator["frame"](torch.cat([maps[t : t + 1, 0], frame], dim=1))
            assert_close(video[t : t + 1], frame)
        alone = model.generator["frame"](torch.cat([maps[2:, 0], torch.zeros(1, *SHAPE)], dim=1))
    assert (video[2:] - alone).abs().max() > 1e-4


def test_the_two_frames_of_a_training_draw_are_the_first_two_of_the_video():
    model, (frames, maps) = small(), batch(2)
    with torch.no_grad():
        made, _ = model.draw(frames, maps)
        for one in range(2):
            assert_close(made[one], model.animate(maps[one], refine_heads=False), atol=1e-6, rtol=1e-5)


def test_only_the_head_is_refined_and_by_the_residual():
    model, (_, maps) = small(), batch(3)
    with torch.no_grad():
        assert torch.equal(*(model.animate(maps[:, 0], refine_heads=refined) for refined in (False, True)))
    nn.init.constant_(model.generator["head"].up[-1].conv.bias, 0.125)  # the weights are zero at first
    with torch.no_grad():
        before, after = (model.animate(maps[:, 0], refine_heads=refined) for refined in (False, True))
    difference = after - before
    assert_close(crop(difference, peaks(maps[:, 0])[:, 1], 6), torch.full((3, 1, 6, 6), 0.125))
    assert (difference != 0).sum() == 3 * 36


def test_terms_with_undecided_critics_are_known():
    model, data = small(n_scales=2), batch()
    for critic in (*model.critic.frames.critics, model.critic.head):
        nn.init.zeros_(critic.layers[-1][0].weight)
        nn.init.zeros_(critic.layers[-1][0].bias)
    drawn = model.draw(*data)
    terms = {name: term.item() for name, term in model.critic_terms(drawn, *data).items()}
    assert_close(terms, {"frames": 2.0, "head": 1.0})
    terms = {name: term.item() for name, term in model.generator_terms(drawn, *data).items()}
    assert_close((terms["frames"], terms["head"]), (1.0, 0.5))
    perfect = drawn._replace(frames=data[0], heads=model._heads(*data))
    terms = model.generator_terms(perfect, *data)
    assert terms["feature_matching"] == terms["head_matching"] == 0


def test_the_critic_sees_whether_two_frames_belong_together():
    model, (frames, maps) = small(), batch()
    drawn = model.draw(frames, maps)
    swapped = drawn._replace(frames=drawn.frames.flip(1))
    terms = [model.generator_terms(x, frames, maps)["frames"].item() for x in (drawn, swapped)]
    assert abs(terms[0] - terms[1]) > 1e-6


def test_the_head_game_does_not_move_the_frames():
    model, data = small(), batch()
    terms = model.generator_terms(model.draw(*data), *data)
    parameters = list(model.generator["frame"].parameters())
    for name in ("head", "head_matching"):
        grads = torch.autograd.grad(terms[name], parameters, retain_graph=True, allow_unused=True)
        assert all(grad is None for grad in grads)
    grads = torch.autograd.grad(terms["frames"] + terms["feature_matching"], parameters)
    assert all(grad.abs().sum() > 0 for grad in grads)


def test_generator_updates_lower_every_term_of_a_critic_that_stays():
    model, data = small(), batch()
    step = AdversarialStep(model, lr=2e-3, critic_steps=0)
    metrics = [step(*data) for _ in range(12)]
    for name in ("feature_matching", "head_matching"):
        assert metrics[-1][f"generator/{name}"] < 0.95 * metrics[0][f"generator/{name}"]
    assert metrics[-1]["loss_generator"] < 0.95 * metrics[0]["loss_generator"]


def test_a_sample_is_a_frame_of_its_pose_and_the_frame_before():
    model, (frames, maps) = small(), batch(3)
    source = torch.cat([maps[:, 1], frames[:, 0]], dim=1)
    assert model.sample(3, source).shape == (3, *SHAPE)
    with pytest.raises(ValueError, match=r"\(3, 16, 16\)"):
        model.translate(maps[:, 0])


def test_poses_of_a_smaller_person_on_another_floor_are_fitted_exactly():
    """J = 3: two ankles and the head; the other person does the same, 0.6 as tall, standing 0.1 higher."""
    generator = torch.Generator().manual_seed(0)
    height = torch.tensor([0.7, 0.8, 0.6, 0.75])
    x = 0.4 + 0.2 * torch.rand(4, generator=generator)
    joints = torch.stack([_person(x_t, 0.9, h_t) for x_t, h_t in zip(x, height, strict=True)])
    target = torch.stack([_person(x_t, 0.8, 0.6 * h_t) for x_t, h_t in zip(x, height, strict=True)])
    fitted = normalise_poses(joints, target[[1]], ankles=(0, 1), head=2)
    assert_close(fitted, target)
    assert_close(normalise_poses(joints, joints, ankles=(0, 1), head=2), joints)


def test_between_close_and_far_the_place_and_the_size_are_linear():
    joints = torch.stack([_person(0.5, feet, h) for feet, h in ((0.9, 0.8), (0.7, 0.4), (0.8, 0.6))])
    target = torch.stack([_person(0.5, feet, h) for feet, h in ((1.0, 0.4), (0.6, 0.4))])
    fitted = normalise_poses(joints, target, ankles=(0, 1), head=2)
    feet, head = fitted[:, 0, 1], fitted[:, 2, 1]
    assert_close(feet, torch.tensor([1.0, 0.6, 0.8]))
    assert_close(feet - head, torch.tensor([0.4, 0.4, 0.75 * 0.6]))


def _person(x: torch.Tensor | float, feet: float, height: torch.Tensor | float) -> torch.Tensor:
    half = 0.1 * height
    return torch.tensor([[x - half, feet], [x + half, feet], [x, feet - height]])


def test_without_feature_matching_the_critics_do_not_see_the_data():
    model, (frames, maps) = small(feature_matching=0.0), batch()
    drawn = model.draw(frames, maps)
    seen = []
    model.critic.frames.critics[0].layers[0].register_forward_hook(lambda *_: seen.append(1))
    assert set(model.generator_terms(drawn, frames, maps)) == {"frames", "head"}
    assert len(seen) == 1


def test_a_video_keeps_no_graph():
    assert not small().animate(batch(3)[1][:, 0]).requires_grad


def test_what_does_not_fit_is_refused():
    model, (frames, maps) = small(), batch(2)
    with pytest.raises(ValueError, match="pose maps"):
        model.animate(maps[:, 0, :1])
    with pytest.raises(ValueError, match="pose maps"):
        model.draw(frames, maps[:, :, :1])
    with pytest.raises(ValueError, match="two of each"):
        model.draw(frames[:, 0], maps)
    settings = {"pose_channels": 2, "head_map": 1, "head_side": 6, "channels": (8,), "critic_channels": (8,)}
    for wrong in (
        {"head_map": 2},
        {"head_side": 17},
        {"n_scales": 5},
        {"feature_matching": -1.0},
        {"channels": (8,) * 3},
    ):
        with pytest.raises(ValueError, match=r"head_map|head_side|scales|negative"):
            EverybodyDanceNow(SHAPE, **(settings | wrong))
