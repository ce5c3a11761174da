"""PG2: the masked error and the two stages, in closed form, and which stage learns from what."""

import math

import pytest
import torch
from torch.testing import assert_close

from generative_core import PG2, AdversarialStep
from generative_core.translation.pose_guided import masked_l1

SHAPE = (3, 8, 8)


def small(**options) -> PG2:
    torch.manual_seed(0)
    return PG2(SHAPE, pose_channels=2, channels=(8, 8), critic_channels=(8,), **options)


def batch(n: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The target is the source image mirrored where the first pose map says so."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(n, *SHAPE, generator=generator) - 0.5
    is_turned = torch.randint(2, (n, 1, 1, 1), generator=generator).float()
    maps = torch.cat([is_turned, 1 - is_turned], dim=1).expand(n, 2, 8, 8)
    target = torch.where(is_turned > 0, -image, image)
    return target, torch.cat([image, maps], dim=1), torch.ones(n, 1, 8, 8)


def test_errors_inside_the_mask_count_twice():
    x, target, mask = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 1, 2, 2)
    assert_close(masked_l1(x, target, mask).item(), 0.5)
    assert_close(masked_l1(x, target, 1 - mask).item(), 1.0)
    mask[..., 0] = 1
    assert_close(masked_l1(x, target, mask).item(), 0.75)


def test_terms_with_an_undecided_critic_are_known():
    model, (target, source, mask) = small(l1=5.0), batch()
    torch.nn.init.zeros_(model.critic.encoder.output.weight)
    torch.nn.init.zeros_(model.critic.encoder.output.bias)
    drawn = model.draw(target, source, mask)._replace(coarse=target - 0.1, refined=target + 0.2)
    assert_close(model.critic_terms(drawn, target, source, mask)["adversarial"], torch.tensor(math.log(4)))
    terms = {name: term.item() for name, term in model.generator_terms(drawn, target, source, mask).items()}
    assert_close(terms, {"coarse": 0.2, "refined": 2.0, "adversarial": math.log(2)}, atol=1e-5, rtol=0)


def test_the_second_stage_is_a_difference_to_the_first():
    model, (_, source, _) = small(), batch()
    last = model.generator["difference"].up[-1].conv
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 0.125)
    coarse, refined = model.stages(source)
    assert_close(refined, coarse + 0.125)
    assert_close(model.eval().sample(16, source), model.stages(source).refined.clamp(-1, 1))


def test_only_the_masked_error_teaches_the_first_stage():
    model, data = small(), batch()
    terms = model.generator_terms(model.draw(*data), *data)
    for name in ("refined", "adversarial"):
        grads = torch.autograd.grad(
            terms[name], list(model.generator["coarse"].parameters()), retain_graph=True, allow_unused=True
        )
        assert all(grad is None for grad in grads)
    grads = torch.autograd.grad(terms["coarse"], list(model.generator["coarse"].parameters()), retain_graph=True)
    assert all(grad.abs().sum() > 0 for grad in grads)


def test_the_pose_maps_decide_the_image():
    model, data = small(), batch()
    step = AdversarialStep(model, lr=5e-3)
    errors = [step(*data)["generator/coarse"] for _ in range(60)]
    assert errors[-1] < 0.6 * errors[0]
    turned = torch.cat([data[1][:, :3], 1 - data[1][:, 3:]], dim=1)
    with torch.no_grad():
        x, x_turned = (model.translate(source) for source in (data[1], turned))
    assert (x - x_turned).abs().mean() > 0.1


def test_a_source_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(5, 8, 8\)"):
        small().translate(torch.zeros(1, 3, 8, 8))
