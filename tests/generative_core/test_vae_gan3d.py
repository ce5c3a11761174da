"""Shapes from images: who sees which loss, closed forms, and that the shape of the image comes out."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import VAEGAN3D, AdversarialStep, fit

VOLUME, IMAGE = (1, 8, 8, 8), (1, 8, 8)


def model(**given: float) -> VAEGAN3D:
    torch.manual_seed(0)
    return VAEGAN3D(VOLUME, source_shape=IMAGE, latent=4, channels=(8, 4), image_channels=(4, 8), **given)


def halves(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Volumes of which one of four sides is full, a voxel of twenty turned over, and a clean view from the front."""
    random = torch.Generator().manual_seed(seed)
    side = torch.randint(4, (n,), generator=random)
    x = torch.zeros(n, *VOLUME)
    for row, k in enumerate(side.tolist()):
        half = slice(0, 4) if k % 2 else slice(4, 8)
        x[(row, 0, half) if k < 2 else (row, 0, slice(None), slice(None), half)] = 1
    images = 2 * x.amax(3) - 1  # (n, 1, up, right)
    return (x - (torch.rand(x.shape, generator=random) < 0.05).float()).abs(), images


def gradients(net: VAEGAN3D, term: str, part: str) -> list[Tensor]:
    batch = halves(16)
    loss = net.generator_terms(net.draw(*batch, generator=torch.Generator().manual_seed(1)), *batch)[term]
    parameters = list(getattr(net.generator, part).parameters())
    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads, strict=True)]


@pytest.mark.parametrize(
    ("term", "parts"),
    [("adversarial", {"decoder"}), ("prior", {"encoder"}), ("reconstruction", {"encoder", "decoder"})],
)
def test_each_part_sees_its_own_losses(term, parts):
    net = model()
    assert {part for part in ("encoder", "decoder") if any(g.any() for g in gradients(net, term, part))} == parts


def test_the_terms_are_the_closed_forms_times_their_weights():
    net, twice = model(), model(prior=0.2, reconstruction=0.3)
    batch = halves(16)
    q = net.posterior(batch[1])
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(q.loc, q.log_scale.exp()), normal(0.0, 1.0)).sum(1).mean()
    drawn = net.draw(*batch, generator=torch.Generator().manual_seed(1))
    distance = sum((a - b).norm() ** 2 for a, b in zip(drawn.rebuilt, batch[0], strict=True)) / 16
    for made, weights in ((net, (0.1, 0.1)), (twice, (0.2, 0.3))):
        terms = made.generator_terms(drawn, *batch)
        assert_close(terms["prior"], weights[0] * kl)
        assert_close(terms["reconstruction"], weights[1] * distance)


def test_the_critic_is_shown_noise_made_solid_and_no_reconstruction():
    net, batch = model(gate=1.0), halves(16)
    drawn = net.draw(*batch, generator=torch.Generator().manual_seed(1))
    loss = net.critic_terms(drawn, *batch)["adversarial"]
    assert_close(net.critic_terms(drawn._replace(rebuilt=batch[0]), *batch)["adversarial"], loss)
    assert net.critic_terms(drawn._replace(sample=batch[0]), *batch)["adversarial"] != loss


def test_a_critic_without_weight_rests_as_one_does_that_is_ahead():
    batch = halves(16)
    for net in (model(adversarial=0.0), model(gate=0.0)):
        before = [p.detach().clone() for p in net.critic.parameters()]
        metrics = AdversarialStep(net, lr=1e-2)(*batch)
        assert all(torch.equal(a, b) for a, b in zip(before, net.critic.parameters(), strict=True))
        assert "critic/adversarial" not in metrics
        assert ("generator/adversarial" in metrics) is (net.adversarial > 0)


def test_it_learns_the_shape_of_an_image():
    net = model()
    fit(AdversarialStep(net, lr=1e-2, seed=1), (halves(16, seed=i) for i in range(80)), 80)
    x, images = halves(64, seed=1_001)
    with torch.no_grad():
        made = net.eval().translate(images) > 0.5
    solid = x > 0.5
    iou = (made & solid).flatten(1).sum(1) / (made | solid).flatten(1).sum(1)
    assert iou.mean() > 0.8  # about 0.9 is the most, since a voxel of twenty is turned over


def test_samples_and_refusals():
    net = model().eval()
    draws = [net.sample(3, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert draws[0].shape == (3, *VOLUME)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    with pytest.raises(ValueError, match="built for images"):
        net.translate(torch.zeros(2, 1, 9, 9))
    with pytest.raises(ValueError, match="reconstruction"):
        model(reconstruction=-1.0)
    with pytest.raises(ValueError, match="never rests"):
        model(gate=2.0)
    with pytest.raises(ValueError, match="VAEGAN"):
        VAEGAN3D(IMAGE, source_shape=IMAGE)
