"""Patches of features: what the hinge costs, what a patch sees, and that the texture comes through."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import AdversarialStep, MarkovianGAN, fit

SHAPE = (1, 8, 8)


class Maps(nn.Module):
    """The image, and the means of 2 x 2 and of 4 x 4 places."""

    def forward(self, x):
        return [x, nn.functional.avg_pool2d(x, 2), nn.functional.avg_pool2d(x, 4)]


def tiny(**changes) -> MarkovianGAN:
    torch.manual_seed(0)
    settings = {"channels": (8, 8, 4), "critic_channels": 8} | changes
    return MarkovianGAN(SHAPE, Maps(), **settings)


def batch(n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return 2 * torch.rand(n, *SHAPE, generator=random) - 1, 2 * torch.rand(n, *SHAPE, generator=random) - 1


def test_an_undecided_critic_costs_two_and_the_generator_one():
    model, (x, texture) = tiny(), batch()
    nn.init.zeros_(model.critic[-1].weight)
    nn.init.zeros_(model.critic[-1].bias)
    drawn = model.draw(x, texture)
    assert_close(model.critic_terms(drawn, x, texture)["adversarial"].item(), 2.0)
    assert_close(model.generator_terms(drawn, x, texture)["adversarial"].item(), 1.0)


def test_beyond_the_margin_a_patch_pulls_no_more():
    model, (x, texture) = tiny(), batch()
    nn.init.zeros_(model.critic[-1].weight)
    nn.init.constant_(model.critic[-1].bias, 1.5)
    assert model.generator_terms(model.draw(x, texture), x, texture)["adversarial"] == 0


def test_content_is_the_mean_square_of_the_deep_maps():
    model, (x, texture) = tiny(content=3.0, tv=0.5).eval(), batch()
    drawn = model.draw(x, texture)
    terms = model.generator_terms(drawn, x, texture)
    deep = [nn.functional.avg_pool2d(image, 4) for image in (drawn, x)]
    assert_close(terms["content"], 3 * nn.functional.mse_loss(*deep))
    assert terms["tv"] > 0
    assert set(tiny(content=0.0).generator_terms(drawn, x, texture)) == {"adversarial"}


def test_the_translation_sees_only_the_deep_maps_and_takes_any_sides():
    model, (x, _) = tiny().eval(), batch()
    blurred = nn.functional.avg_pool2d(x, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert_close(model.translate(x), model.translate(blurred))
    assert model.translate(torch.zeros(1, 1, 16, 24)).shape == (1, 1, 16, 24)


def test_a_patch_of_the_critic_is_three_places_of_its_layer():
    """On the 2 x 2 means a logit sees 6 x 6 pixels: those and no others have a gradient."""
    model = tiny()
    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    logits = model.critic(model.features(x)[1])
    (grad,) = torch.autograd.grad(logits[0, 0, 4, 4], x)
    seen = grad[0, 0].nonzero()
    assert seen.min(0).values.tolist() == [6, 6]
    assert seen.max(0).values.tolist() == [11, 11]


def test_channels_that_do_not_fit_the_doublings_are_refused():
    with pytest.raises(ValueError, match="needs one more entry"):
        tiny(channels=(8, 4))
    assert tiny(channels=(8, 4), deep_layer=1).translate(batch()[0]).shape == (4, *SHAPE)


def test_both_players_move_and_a_resumed_game_repeats_to_the_bit():
    whole, half, resumed = (AdversarialStep(tiny()) for _ in range(3))
    before = {name: p.detach().clone() for name, p in whole.model.named_parameters()}
    for _ in range(3):
        whole(*batch())
    still = [name for name, p in whole.model.named_parameters() if torch.equal(p, before[name])]
    assert still == ["critic.4.bias"]  # within the margins the two sides of the hinge balance exactly
    half(*batch())
    resumed.load_state_dict(half.state_dict())
    for _ in range(2):
        resumed(*batch())
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_a_texture_of_stripes_comes_through():
    """Contents are noise, the texture is horizontal stripes two pixels wide: rows must come to be alike."""
    random = torch.Generator().manual_seed(0)
    stripes = torch.tensor([0.8, 0.8, -0.8, -0.8]).repeat(3)

    def texture(n: int) -> torch.Tensor:
        shift = torch.randint(2, (n,), generator=random) * 2
        return torch.stack([stripes[s : s + 8] for s in shift.tolist()]).view(n, 1, 8, 1).expand(n, *SHAPE)

    def batches():
        while True:
            yield 2 * torch.rand(8, *SHAPE, generator=random) - 1, texture(8)

    def along_rows(x: torch.Tensor) -> float:
        """Share of the variance that lies between rows: 1 for the stripes."""
        return float(x.mean(3).var(2).mean() / x.flatten(2).var(2).mean())

    model = tiny(content=0.0, patch_layer=0)
    contents = 2 * torch.rand(32, *SHAPE, generator=random) - 1
    fit(AdversarialStep(model, lr=5e-3), batches(), 80)
    with torch.no_grad():
        made = model.eval().translate(contents)
    assert along_rows(made) > 0.6
    assert made.std() > 0.4


def test_both_sides_and_the_weights_are_checked():
    with pytest.raises(ValueError, match="a side of 9"):
        MarkovianGAN((1, 8, 9), Maps(), channels=(8, 8, 4))
    with pytest.raises(ValueError, match="negative"):
        tiny(content=-1.0)
    with pytest.raises(ValueError, match="give 3 of them"):
        tiny().sample(3)
    with pytest.raises(ValueError, match="built for sources"):
        tiny().translate(torch.zeros(1, 2, 8, 8))
