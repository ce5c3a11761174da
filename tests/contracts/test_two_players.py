"""What every game of two players promises, whatever its batches hold."""

import pytest
import torch

from generative_core import AdversarialStep, Sampler, load_checkpoint, save_checkpoint
from tests import games

BATCH = 8


@pytest.fixture(params=games.TWO_PLAYERS.values(), ids=games.TWO_PLAYERS.keys())
def case(request):
    return request.param


def game_of(case, seed: int = 0):
    torch.manual_seed(seed)
    return case.make()


def batch_of(case, game, seed: int = 0):
    return case.batch(game, BATCH, torch.Generator().manual_seed(seed))


def sample(case, game, seed: int):
    with torch.no_grad():
        contexts = case.contexts(batch_of(case, game))
        return game.sample(BATCH, *contexts, generator=torch.Generator().manual_seed(seed))


def test_samples_have_the_event_shape_and_are_the_random_generators_alone(case):
    game = game_of(case).eval()
    assert isinstance(game, Sampler)
    before = torch.get_rng_state()
    first, second = sample(case, game, 3), sample(case, game, 3)
    assert first.shape == (BATCH, *game.event_shape)
    assert first.dtype == torch.float32
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_round_moves_every_parameter_of_both_players_and_no_other(case):
    game = game_of(case)
    before = {name: p.detach().clone() for name, p in game.named_parameters()}
    step = AdversarialStep(game, lr=1e-2)
    for i in range(2):  # a last layer of zeros hides the others from the first gradient
        metrics = step(*batch_of(case, game, seed=i))
    assert {"loss", "loss_generator"} <= set(metrics)
    players = {id(p) for player in (game.generator, game.critic) for p in player.parameters() if p.requires_grad}
    for name, p in game.named_parameters():
        moved = not torch.equal(p, before[name])
        # a constant added to every logit is nothing to a hinge or a Wasserstein loss
        assert moved == (id(p) in players) or (p.numel() == 1 and not moved), name


def test_the_metrics_are_the_terms_and_their_sums(case):
    game = game_of(case)
    metrics = AdversarialStep(game)(*batch_of(case, game))
    for player, total in (("critic", "loss"), ("generator", "loss_generator")):
        terms = [value for name, value in metrics.items() if name.startswith(f"{player}/")]
        assert metrics[total] == pytest.approx(sum(terms))


def test_no_gradient_stays_on_the_other_player(case):
    game = game_of(case)
    AdversarialStep(game, critic_steps=0)(*batch_of(case, game))
    assert all(p.grad is None for p in game.critic.parameters())


def test_a_resumed_game_goes_on_to_the_bit(case, tmp_path):
    def begin(seed: int):
        game = game_of(case, seed)
        return game, AdversarialStep(game, lr=1e-3, seed=seed)

    def play(game, step, first: int, last: int):
        torch.manual_seed(first)  # dropout draws from torch's global generator
        return [step(*batch_of(case, game, seed=i)) for i in range(first, last)]

    game, step = begin(0)
    play(game, step, 0, 2)
    save_checkpoint(tmp_path / "two", step.state_dict())
    straight = play(game, step, 2, 4)
    other, resumed = begin(1)
    resumed.load_state_dict(load_checkpoint(tmp_path / "two"))
    assert play(other, resumed, 2, 4) == straight
    assert all(torch.equal(a, b) for a, b in zip(game.state_dict().values(), other.state_dict().values(), strict=True))
