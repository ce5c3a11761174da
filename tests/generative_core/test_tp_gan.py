"""TP-GAN: its losses in closed form, the fixed network, and where the local paths put what they find."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import TPGAN, AdversarialStep
from generative_core.translation.perceptual import total_variation
from generative_core.translation.tp_gan import asymmetry

SHAPE = (1, 16, 16)
TEMPLATE = ((4, 4), (12, 12))
WEIGHTS = ("symmetry", "adversarial", "identity", "local", "smoothness")


class Mean(nn.Module):
    """A network that knows one thing of a face: its mean, scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.norm(x).mean((1, 2, 3))


def small(template=TEMPLATE, **options) -> TPGAN:
    torch.manual_seed(0)
    return TPGAN(SHAPE, Mean().eval(), template=template, patch_side=4, code=8, channels=(8, 8), **options)


def batch(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Profiles of noise, one bright square in each, which belongs to the first place of the template."""
    generator = torch.Generator().manual_seed(0)
    profile = 0.1 * torch.randn(n, 1, 16, 16, generator=generator)
    maps = torch.zeros(n, 2, 16, 16)
    maps[:, 0, 8, 8] = maps[:, 1, 3, 12] = 1
    profile[:, :, 6:10, 6:10] += torch.linspace(-0.8, 0.8, n).view(n, 1, 1, 1)
    frontal = torch.zeros(n, 1, 16, 16)
    frontal[:, :, 2:6, 2:6] = torch.linspace(-0.8, 0.8, n).view(n, 1, 1, 1)
    return frontal, torch.cat([profile, maps], dim=1)


def test_asymmetry_and_total_variation_are_known():
    x = torch.zeros(1, 1, 4, 4)
    x[..., :2] = 1
    assert asymmetry(x) == 1
    assert asymmetry(x + x.flip(3)) == 0
    assert_close(total_variation(x).item(), 1 / 3)  # one of the three steps along each row


def test_terms_with_an_undecided_critic_are_known():
    model, (frontal, source) = small(symmetry=0.5, adversarial=2.0, identity=3.0, local=4.0, smoothness=1.0), batch()
    nn.init.zeros_(model.critic.encoder.output.weight)
    nn.init.zeros_(model.critic.encoder.output.bias)
    patches = model.generator.frontal_patches(frontal)
    drawn = model.draw(frontal, source)._replace(face=frontal + 0.1, patches=patches - 0.25)
    assert_close(model.critic_terms(drawn, frontal, source)["adversarial"], torch.tensor(math.log(4)))
    terms = {name: term.item() for name, term in model.generator_terms(drawn, frontal, source).items()}
    expected = {
        "l1": 0.1,
        "symmetry": 0.5 * asymmetry(frontal).item(),
        "adversarial": 2 * math.log(2),
        "identity": 3 * 0.01,
        "smoothness": total_variation(frontal).mean().item(),
        "local": 1.0,
    }
    assert_close(terms, expected, atol=1e-4, rtol=0)


def test_the_identity_network_stays_as_it_was():
    model, data = small(), batch()
    before = {name: value.clone() for name, value in model.identity_network.state_dict().items()}
    step = AdversarialStep(model, lr=1e-2)
    for _ in range(2):
        step(*data)
    assert not model.identity_network.training
    assert all(torch.equal(value, before[name]) for name, value in model.identity_network.state_dict().items())


def test_a_local_path_changes_the_face_only_around_its_place_in_the_template():
    model, (_, source) = small().eval(), batch()
    moved = source.clone()
    moved[:, 1] = 0
    moved[:, 1, 12, 3] = 1  # the first landmark somewhere else: the whole profile is the same
    with torch.no_grad():
        change = (model.translate(moved) - model.translate(source)).abs().amax((0, 1))
    near = torch.zeros(16, 16, dtype=torch.bool)
    near[0:8, 0:8] = True  # rows and columns 2 to 5, and the two convolutions of 3 x 3 around them
    assert change[near].max() > 1e-4
    assert change[~near].max() == 0


def test_without_a_template_there_is_one_path_and_no_landmarks():
    model, (frontal, source) = small(template=()), batch()
    assert model.source_shape == SHAPE
    drawn = model.draw(frontal, source[:, :1])
    assert drawn.patches.shape == (8, 0, 1, 4, 4)
    assert "local" not in model.generator_terms(drawn, frontal, source[:, :1])
    with pytest.raises(ValueError, match=r"\(1, 16, 16\)"):
        model.translate(source)


def test_it_learns_to_move_a_mark_to_its_place():
    model, data = small(symmetry=0.0), batch()
    step = AdversarialStep(model, lr=5e-3)
    errors = [step(*data)["generator/l1"] for _ in range(60)]
    assert errors[-1] < 0.4 * errors[0]
    with torch.no_grad():
        face = model.translate(data[1])
    square, true = (x[:, 0, 2:6, 2:6].mean((1, 2)) for x in (face, data[0]))
    assert torch.corrcoef(torch.stack([square, true]))[0, 1] > 0.8


def test_a_sample_is_a_translation_of_its_context():
    model, (_, source) = small().eval(), batch()
    x = model.sample(8, source)
    assert x.shape == (8, *SHAPE)
    assert x.abs().max() <= 1
    assert torch.equal(x, model.translate(source))


def test_terms_without_weight_do_no_work_and_the_critic_can_rest():
    model, (frontal, source) = small(**dict.fromkeys(WEIGHTS, 0.0)), batch()
    model.identity_network.register_forward_hook(lambda *_: pytest.fail("nobody listens"))
    drawn = model.draw(frontal, source)
    assert model.critic_terms(drawn, frontal, source) == {}
    assert set(model.generator_terms(drawn, frontal, source)) == {"l1"}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="negative"):
        small(identity=-1.0)
    for side in (2, 17):
        with pytest.raises(ValueError, match="patch_side"):
            TPGAN(SHAPE, Mean(), template=TEMPLATE, patch_side=side, channels=(8, 8))
