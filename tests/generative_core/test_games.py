"""The laws of two-player games: where they rest, which way each player moves, and that a round is exact.

The closed forms of the losses by themselves are in test_objectives.py, what every game promises in tests/contracts/.
"""

import math
from typing import NamedTuple, final

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import (
    DCGAN,
    DRAGAN,
    GAN,
    GAN3D,
    WGANGP,
    AdversarialStep,
    ConditionalGAN,
    HingeGAN,
    MetricHistory,
    MLPCritic,
    ProgressBar,
    ShuffledBatches,
    fit,
    objectives,
)
from generative_core.families import AbstractGAN, AbstractTwoPlayer, Drawn, Terms
from generative_core.nets.conv import ConvDecoder
from generative_core.training.adversarial import without_gradients
from tests import games

GAMES = {
    "non_saturating": objectives.NON_SATURATING,
    "minimax": objectives.MINIMAX,
    "hinge": objectives.HINGE,
    "least_squares": objectives.LEAST_SQUARES,
    "wasserstein": objectives.WASSERSTEIN,
}


def make(name: str) -> tuple[AbstractTwoPlayer, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    game = games.TWO_PLAYERS[name].make()
    return game, games.TWO_PLAYERS[name].batch(game, 8, torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("mean_model", "std_model"), [(1.5, 0.8), (0.0, 1.0)])
def test_a_trained_critic_gives_the_share_of_the_data(mean_model, std_model):
    """D* = p_data / (p_data + p_model) of N(0, 1) and another Gaussian; with an equal one 1/2 everywhere."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    critic = MLPCritic((1,), hidden=(32,), activation=nn.SiLU, normalise=False)
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for i in range(300):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - i / 300)
        x_data = torch.randn(1024, 1, generator=generator)
        x_model = mean_model + std_model * torch.randn(1024, 1, generator=generator)
        loss = objectives.bce_critic_loss(critic.logit(x_data), critic.logit(x_model))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x = torch.linspace(-2.0, 2.5, 50)[:, None]
    p_data = torch.distributions.Normal(0.0, 1.0).log_prob(x).exp()
    p_model = torch.distributions.Normal(mean_model, std_model).log_prob(x).exp()
    error = (torch.sigmoid(critic.logit(x)) - (p_data / (p_data + p_model))[:, 0]).abs().max()
    assert error < 0.05


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES.keys())
def test_a_critics_step_parts_the_sides_and_a_generators_step_closes_them(game):
    """From an undecided critic: its step raises the data's logit above the model's, the generator's its samples'."""
    x_data, latent = torch.full((4, 1), 2.0), torch.full((4, 1), -1.0)
    slope = torch.zeros((), requires_grad=True)  # logit(x) = slope * x
    shift = torch.zeros((), requires_grad=True)  # G(z) = z + shift
    critic_loss = game.critic((slope * x_data)[:, 0], (slope * latent)[:, 0])
    (down,) = torch.autograd.grad(critic_loss, slope)
    assert down < 0  # so the slope rises: the data, which lie to the right, look more like the data
    generator_loss = game.generator((0.5 * (latent + shift))[:, 0])
    (down,) = torch.autograd.grad(generator_loss, shift)
    assert down < 0  # so the samples move right, up the critic and to the data


# MidiNet's pitches are steps, and the gradient that it passes through them is another function's
@pytest.mark.parametrize("name", sorted(games.TWO_PLAYERS.keys() - {"midinet"}))
def test_a_players_step_lowers_its_own_terms(name):
    """On one batch with one drawing, one small step down each player's gradient lowers the sum that it names."""
    model, batch = make(name)
    noise = lambda: torch.Generator().manual_seed(7)  # noqa: E731
    model.double().eval()  # norms, power iterations and histories stay put
    batch = tuple(part.double() if part.is_floating_point() else part for part in batch)
    players = {"critic": model.critic, "generator": model.generator}
    for player_name, player in players.items():

        def loss(player_name=player_name) -> Tensor:
            torch.manual_seed(0)  # where a history draws, it draws alike
            drawn = model.draw(*batch, generator=noise())
            if player_name == "critic":
                return sum(model.critic_terms(without_gradients(drawn), *batch, generator=noise()).values())
            return sum(model.generator_terms(drawn, *batch, generator=noise()).values())

        parameters = [p for p in player.parameters() if p.requires_grad]
        before = loss()
        gradients = torch.autograd.grad(before, parameters)
        square = sum(g.square().sum() for g in gradients)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient * 1e-3 / square.sqrt())
        assert loss() < before - 0.2e-3 * square.sqrt()


@pytest.mark.parametrize("name", games.TWO_PLAYERS)
def test_a_round_is_a_function_of_the_seeds(name):
    def rounds(seed: int) -> list[dict[str, float]]:
        model, batch = make(name)
        step = AdversarialStep(model, seed=seed)
        return [step(*batch) for _ in range(2)]

    assert rounds(0) == rounds(0)
    if isinstance(make(name)[0], AbstractGAN):  # translators have no noise of their own, or dropout's
        assert rounds(0) != rounds(1)


@pytest.mark.parametrize("penalty", [0.5, 3.0])
@pytest.mark.parametrize("model", [WGANGP, DRAGAN])
def test_a_models_penalty_on_a_linear_critic_is_in_closed_form(model, penalty):
    """logit = w . x has the slope w everywhere: penalty (||w|| - 1)^2."""
    torch.manual_seed(0)
    critic = MLPCritic((3,), hidden=(), normalise=False)
    game = model((3,), penalty=penalty, critic=critic, generator=GAN((3,), latent=2, hidden=(4,)).generator)
    x = torch.randn(6, 3)
    terms = game.critic_terms(torch.randn(6, 3), x, generator=torch.Generator().manual_seed(0))
    weight = next(p for p in critic.parameters() if p.ndim == 2)
    name = "gradient_penalty" if model is WGANGP else "dragan"
    assert_close(terms[name], penalty * (weight.norm() - 1).square())


def test_the_penalty_around_the_data_is_in_closed_form_where_the_critic_is_linear():
    w = torch.tensor([3.0, -4.0], requires_grad=True)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    penalty = objectives.dragan_penalty(lambda x: x @ w, x, target=2.0, generator=torch.Generator().manual_seed(1))
    assert_close(penalty.detach(), torch.tensor(9.0))
    penalty.backward()
    assert_close(w.grad, (2 * (5 - 2.0) / 5 * w).detach())


def test_the_penalty_around_the_data_looks_within_half_their_spread():
    seen: list[Tensor] = []

    def logit(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(1)

    x = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0))
    objectives.dragan_penalty(logit, x, generator=torch.Generator().manual_seed(1))
    offset = (seen[0] - x) / x.std()
    assert offset.min() >= -1e-5
    assert 0.4 < offset.max() <= 0.5
    assert_close(offset.mean(), torch.tensor(0.125), atol=0.01, rtol=0)  # 1/2 E a E u


@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize("side", [1, 3, 7])
def test_a_transposed_convolution_of_kernel_four_doubles_the_sides(n_dims, side):
    """out = (in - 1) stride - 2 padding + kernel = 2 in, and it is the transpose of the convolution that halves."""
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[n_dims - 1]
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_dims - 1]
    up = transposed(2, 3, 4, stride=2, padding=1, bias=False).double()
    down = conv(3, 2, 4, stride=2, padding=1, bias=False).double()
    generator = torch.Generator().manual_seed(0)
    small = torch.randn(1, 2, *[side] * n_dims, generator=generator, dtype=torch.float64)
    large = torch.randn(1, 3, *[2 * side] * n_dims, generator=generator, dtype=torch.float64)
    assert up(small).shape == large.shape
    down.weight.data = up.weight.data
    assert_close((up(small) * large).sum(), (small * down(large)).sum())  # <up s, l> = <s, down l>


def test_a_decoders_maps_double_from_layer_to_layer():
    decoder = ConvDecoder(5, (1, 28, 28), channels=(4, 3))
    sides = [decoder.first_shape[-1]]
    maps = torch.zeros(2, *decoder.first_shape)
    for layer in decoder.convolutions:
        maps = layer(maps)
        sides.append(maps.shape[-1])
    assert sorted(set(sides)) == [7, 14, 28]


class Pair(NamedTuple):
    x: Tensor
    code: Tensor


@final
class Toy(AbstractTwoPlayer):
    """Draws a NamedTuple; its critic rests where it is told to."""

    def __init__(self, *, critic_rests: bool = False, factor: float = 2.0) -> None:
        super().__init__()
        self.event_shape = (1,)
        self.generator, self.critic = nn.Linear(1, 1), nn.Linear(1, 1)
        self.critic_rests = critic_rests
        self.factor = factor
        self.seen: list[tuple[str, Drawn]] = []

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Pair:
        code = torch.randn(len(batch[0]), 1, generator=generator)
        return Pair(self.generator(code), 2 * self.generator(code))

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        self.seen.append(("critic", drawn))
        if self.critic_rests:
            return {}
        return {"first": self.critic(drawn[0]).mean(), "second": -self.factor * self.critic(batch[0]).mean()}

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        self.seen.append(("generator", drawn))
        return {"only": -self.critic(drawn[0]).mean()}

    def sample(self, n: int, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        return self.generator(torch.randn(n, 1, generator=generator))


def test_a_drawing_of_several_parts_stays_what_it_is_and_reaches_the_critic_without_gradients():
    model = Toy()
    AdversarialStep(model)(torch.ones(4, 1))
    (first, for_critic), (second, for_generator) = model.seen
    assert (first, second) == ("critic", "generator")
    assert isinstance(for_critic, Pair)
    assert isinstance(for_generator, Pair)
    assert not for_critic.x.requires_grad
    assert not for_critic.code.requires_grad
    assert for_generator.x.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(for_critic, for_generator, strict=True))  # one drawing for both


def test_every_update_beyond_the_first_of_a_player_has_a_drawing_of_its_own():
    model = Toy()
    AdversarialStep(model, critic_steps=2, generator_steps=2)(torch.ones(4, 1))
    first, shared, same, last = (drawn.x.detach() for _, drawn in model.seen)
    assert torch.equal(shared, same)
    assert not torch.equal(first, shared)
    assert not torch.equal(last, shared)


def test_a_critic_without_terms_rests_and_the_generator_goes_on():
    torch.manual_seed(0)
    model = Toy(critic_rests=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    metrics = AdversarialStep(model, lr=1e-2)(torch.ones(4, 1))
    moved = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"generator"}
    assert set(metrics) == {"generator/only", "loss_generator"}
    assert all(p.grad is None for p in model.critic.parameters())


def test_a_term_that_is_not_finite_is_named_and_its_player_stays():
    model = Toy(factor=math.nan)
    before = [p.detach().clone() for p in model.critic.parameters()]
    step = AdversarialStep(model)
    with pytest.raises(FloatingPointError, match=r"critic \(first, second\)"):
        step(torch.ones(4, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, model.critic.parameters(), strict=True))
    assert step.n_updates == 0


def test_the_critic_is_fixed_while_the_generators_terms_are_made_and_free_again_after(monkeypatch):
    model, flags = Toy(), []
    terms = model.generator_terms

    def spy(*arguments, **settings):
        flags.append([p.requires_grad for p in model.critic.parameters()])
        return terms(*arguments, **settings)

    monkeypatch.setattr(model, "generator_terms", spy)
    AdversarialStep(model)(torch.ones(4, 1))
    assert flags == [[False, False]]
    assert all(p.requires_grad for p in model.parameters())


def test_the_schedule_scales_both_step_sizes():
    step = AdversarialStep(Toy(), lr=1e-2, lr_critic=4e-2, schedule=lambda i: 0.5**i)
    for _ in range(3):
        step(torch.ones(4, 1))
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in step.optimisers.items()}
    assert rates == {"critic": 1e-2, "generator": 2.5e-3}


@pytest.mark.parametrize("name", ["wgan_gp", "dragan", "dcgan"])
def test_a_round_is_what_backward_and_the_plain_optimiser_do(name):
    """Gradients of gradients come with other strides than their parameters, which a fused optimiser must not see."""
    model, batch = make(name)
    step = AdversarialStep(model.double(), lr=1e-2, generator_steps=0)
    other, _ = make(name)
    other.double()
    batch = tuple(part.double() for part in batch)
    optimiser = torch.optim.Adam(other.critic.parameters(), lr=1e-2, betas=(0.5, 0.999), foreach=False)
    generator = torch.Generator().manual_seed(0)  # as the step's own
    step(*batch)
    drawn = other.draw(*batch, generator=generator)
    sum(other.critic_terms(drawn.detach(), *batch, generator=generator).values()).backward()
    optimiser.step()
    for ours, plain in zip(model.critic.parameters(), other.critic.parameters(), strict=True):
        assert_close(ours, plain)
        assert ours.grad.stride() == ours.stride()


def test_a_resting_critic_leaves_hooks_whole():
    """A metric that an update lacks is NaN in the history, and no bar breaks on it."""
    torch.manual_seed(0)
    game = GAN3D((1, 4, 4, 4), latent=2, channels=(4,), gate=0.0)  # any event on the right side is too many
    history = MetricHistory()
    batches = ShuffledBatches(torch.rand(16, 1, 4, 4, 4), batch_size=8)
    fit(AdversarialStep(game), batches, 4, [history, ProgressBar(4)])
    lengths = {name: len(column) for name, column in history.values.items()}
    assert set(lengths.values()) == {4}
    assert all(math.isfinite(value) for value in history.values["loss_generator"])


def test_a_parameter_that_no_term_reaches_stays_as_it_is():
    torch.manual_seed(0)
    game = GAN((2,), latent=2, hidden=(4,))
    game.generator.register_parameter("spare", nn.Parameter(torch.ones(3)))
    AdversarialStep(game, lr=0.1)(torch.zeros(4, 2))
    assert torch.equal(game.generator.spare, torch.ones(3))


@pytest.mark.parametrize("steps", [(0, 0), (-1, 1), (1, -1)])
def test_a_round_without_updates_is_refused(steps):
    with pytest.raises(ValueError, match="a round needs updates"):
        AdversarialStep(GAN((2,)), critic_steps=steps[0], generator_steps=steps[1])


@pytest.mark.parametrize("shape", [(2, 16), (1, 8, 8), (1, 4, 4, 4)])
@pytest.mark.parametrize("model", [DCGAN, WGANGP, DRAGAN])
def test_signals_images_and_volumes_alike(model, shape):
    torch.manual_seed(0)
    game = model(shape, latent=2, channels=(4, 4))
    AdversarialStep(game)(torch.rand(4, *shape))
    assert game.sample(3).shape == (3, *shape)


def papers_terms(model: AbstractTwoPlayer, d: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """The two players' losses from the logits of data and of drawings, written out as each paper has them."""
    if isinstance(model, WGANGP):
        return m.mean() - d.mean(), -m.mean()
    if isinstance(model, HingeGAN):
        return (1 - d).clamp(min=0).mean() + (1 + m).clamp(min=0).mean(), -m.mean()
    return -(d.sigmoid().log().mean() + (1 - m.sigmoid()).log().mean()), -m.sigmoid().log().mean()


@pytest.mark.parametrize("name", ["dcgan", "conditional_gan", "wgan_gp", "hinge_gan", "dragan"])
def test_the_adversarial_terms_are_the_papers(name):
    model, batch = make(name)
    model.eval()
    x, *context = batch
    drawn = model.draw(*batch, generator=torch.Generator().manual_seed(3)).detach()
    critic, generator = papers_terms(model, model.critic.logit(x, *context), model.critic.logit(drawn, *context))
    noise = torch.Generator().manual_seed(4)
    assert_close(model.critic_terms(drawn, *batch, generator=noise)["adversarial"], critic)
    assert_close(model.generator_terms(drawn, *batch, generator=noise)["adversarial"], generator)


def test_every_weight_of_the_hinge_games_critic_has_norm_one():
    torch.manual_seed(0)
    critic = HingeGAN((1, 8, 8), latent=2, channels=(8, 4)).critic
    for _ in range(50):  # the power iteration moves in training mode
        critic.logit(torch.randn(2, 1, 8, 8))
    weights = [module.weight for module in critic.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(weights) == 3
    for weight in weights:
        assert_close(torch.linalg.matrix_norm(weight.flatten(1), 2), torch.tensor(1.0), atol=0.02, rtol=0)


def test_a_conditional_gan_makes_what_it_is_told():
    """One class is light and the other dark: told apart by the context alone."""
    torch.manual_seed(0)
    context = torch.eye(2).repeat(64, 1)
    x = (1.2 * context[:, 0] - 0.6)[:, None, None, None].expand(-1, 1, 4, 4)
    x = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    game = ConditionalGAN((1, 4, 4), context_features=2, latent=2, channels=(16, 8))
    fit(AdversarialStep(game, lr=2e-3), ShuffledBatches(x, context, batch_size=32), 150)
    drawn = game.eval().sample(128, context, generator=torch.Generator().manual_seed(1)).mean((1, 2, 3))
    assert drawn[context[:, 0] == 1].mean() > 0.3
    assert drawn[context[:, 0] == 0].mean() < -0.3
