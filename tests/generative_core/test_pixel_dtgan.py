"""PixelDTGAN: three kinds of pairs, in closed form and by what the critic learns of them."""

import math

import pytest
import torch
from torch.testing import assert_close

from generative_core import AdversarialStep, PixelDTGAN

SHAPE = (1, 8, 8)


def small(**options) -> PixelDTGAN:
    torch.manual_seed(0)
    return PixelDTGAN(SHAPE, source_channels=2, code=4, channels=(8,), **options)


def pair(n: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Flat images of n different greys; the source has the grey in both channels, with noise."""
    generator = torch.Generator().manual_seed(0)
    target = torch.linspace(-0.9, 0.9, n).view(n, 1, 1, 1).expand(n, *SHAPE)
    return target, target.expand(n, 2, 8, 8) + 0.1 * torch.randn(n, 2, 8, 8, generator=generator)


def test_terms_with_undecided_critics_are_known():
    model, (target, source) = small(real=0.5, domain=0.25, l2=3.0), pair()
    for critic in (model.critic.real, model.critic.domain):
        torch.nn.init.zeros_(critic.encoder.output.weight)
        torch.nn.init.zeros_(critic.encoder.output.bias)
    assert [round(v.item(), 4) for v in model.critic_terms(target, target, source).values()] == [1.3863, 1.3863]
    terms = model.generator_terms(target + 0.5, target, source)
    assert_close(terms["real"].item(), 0.5 * math.log(2), atol=1e-6, rtol=0)
    assert_close(terms["domain"].item(), 0.25 * math.log(2), atol=1e-6, rtol=0)
    assert_close(terms["l2"].item(), 0.75, atol=1e-6, rtol=0)


def test_the_critic_of_pairs_learns_to_refuse_the_target_of_another_source():
    """What is generated here is the truth itself, so that only the association is left to learn."""
    model, (target, source) = small(), pair()
    optimiser = torch.optim.Adam(model.critic.domain.parameters(), lr=1e-2)
    random = torch.Generator().manual_seed(0)
    for _ in range(60):
        loss = model.critic_terms(-target, target, source, generator=random)["domain"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    right, wrong = (model._pair_logit(source, x).mean() for x in (target, target.roll(8, dims=0)))
    assert right > wrong + 1


def test_the_unassociated_target_is_never_the_right_one():
    """A critic that sees nothing but equality: logit -m for a pair that is equal, where m is large."""
    model, (target, _) = small(), pair()
    seen = []
    model._pair_logit = lambda source, x: seen.append((source, x)) or torch.zeros(len(x))  # type: ignore[method-assign]  # a spy
    for seed in range(20):
        model.critic_terms(target, target, target, generator=torch.Generator().manual_seed(seed))
        source, other = seen[-1]
        assert (source != other).flatten(1).all(dim=1).all()


def test_the_shift_is_the_random_generators():
    model, (target, source) = small().eval(), pair()
    losses = [
        model.critic_terms(target, target, source, generator=torch.Generator().manual_seed(seed))["domain"].item()
        for seed in (0, 0, 1, 2, 3)
    ]
    assert losses[0] == losses[1]
    assert len(set(losses)) > 1


def test_with_the_square_error_alone_the_critics_rest():
    model, batch = small(real=0.0, domain=0.0, l2=1.0), pair()
    step = AdversarialStep(model, lr=1e-2)
    before = [p.detach().clone() for p in model.critic.parameters()]
    losses = [step(*batch)["generator/l2"] for _ in range(30)]
    assert losses[-1] < 0.3 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, model.critic.parameters(), strict=True))


def test_a_batch_of_one_and_a_source_of_another_shape_are_refused():
    model, (target, source) = small(), pair(2)
    with pytest.raises(ValueError, match="two or more"):
        model.critic_terms(target[:1], target[:1], source[:1])
    with pytest.raises(ValueError, match=r"\(2, 8, 8\)"):
        model.translate(target)


def test_each_critic_sees_each_image_once():
    model, (target, source) = small(), pair()
    seen = {"real": 0, "domain": 0}
    for name in seen:
        getattr(model.critic, name).encoder.convolutions.register_forward_hook(
            lambda *_, name=name: seen.__setitem__(name, seen[name] + 1)
        )
    model.critic_terms(target, target, source)
    assert seen == {"real": 2, "domain": 3}


def test_terms_without_weight_are_left_out_and_some_weight_is_needed():
    target, source = pair()
    assert set(small(real=0.0).generator_terms(target, target, source)) == {"domain"}
    assert set(small(domain=0.0, l2=1.0).generator_terms(target, target, source)) == {"real", "l2"}
    for weights in ({"real": 0.0, "domain": 0.0}, {"real": -1.0}):
        with pytest.raises(ValueError, match="weights"):
            small(**weights)
