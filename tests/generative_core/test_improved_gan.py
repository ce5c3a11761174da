"""Each technique alone: its closed form, its sign, and what it must not depend on."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import AdversarialStep, ImprovedGAN, objectives
from generative_core.adversarial.gan import MLPGenerator
from generative_core.nets.minibatch import MinibatchDiscrimination, VirtualBatchNorm
from generative_core.nets.shaped_mlp import ShapedMLP

IMAGE = (1, 8, 8)


def tiny(**techniques) -> ImprovedGAN:
    torch.manual_seed(0)
    return ImprovedGAN(IMAGE, latent=4, channels=(8, 4), features=6, **techniques)


def images(n: int = 12) -> torch.Tensor:
    return torch.rand(n, *IMAGE, generator=torch.Generator().manual_seed(5)) * 2 - 1


def test_the_best_smoothed_critic_is_a_times_the_share_of_the_data():
    """D* = a p / (p + q) over three states, as batches with exact frequencies; state 2 has no data."""
    data, model = torch.tensor([0] * 6 + [1] * 4), torch.tensor([0] * 1 + [1] * 4 + [2] * 5)
    p, q, a = data.bincount(minlength=3).double() / 10, model.bincount().double() / 10, 0.9
    probability = a * p / (p + q)
    logit = torch.logit(probability.clamp(min=1e-9)).requires_grad_(True)
    objectives.smoothed_critic_loss(logit[data], logit[model], label_data=a).backward()
    assert_close(logit.grad, torch.zeros(3).double(), atol=1e-8, rtol=0)
    assert probability[2] == 0  # two-sided smoothing would leave the critic unsure where there is no data


def test_smoothing_is_cross_entropy_with_a_soft_label_and_none_is_none():
    logit_data, logit_model = torch.tensor([0.4, -2.0]), torch.tensor([1.5])
    expected = nn.functional.binary_cross_entropy_with_logits(logit_data, torch.full((2,), 0.8))
    expected = expected + nn.functional.binary_cross_entropy_with_logits(logit_model, torch.zeros(1))
    assert_close(objectives.smoothed_critic_loss(logit_data, logit_model, label_data=0.8), expected)
    plain = objectives.bce_critic_loss(logit_data, logit_model)
    assert torch.equal(objectives.smoothed_critic_loss(logit_data, logit_model, label_data=1.0), plain)


def test_feature_matching_is_the_square_distance_of_the_means():
    data, model = torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([[0.0, 0.0]], requires_grad=True)
    loss = objectives.feature_matching_loss(data.requires_grad_(True), model)
    assert_close(loss.item(), 2.0**2 + 1.0**2)
    loss.backward()
    assert_close(model.grad, torch.tensor([[-4.0, -2.0]]))
    assert data.grad is None


def test_feature_matching_moves_the_generators_mean_features_to_the_datas():
    gan = tiny(feature_matching=True)
    step = AdversarialStep(gan, lr=3e-3, critic_steps=0)
    losses = [step(images())["generator/feature_matching"] for _ in range(30)]
    assert losses[-1] < 0.3 * losses[0]


def test_minibatch_similarity_counts_the_copies_in_a_batch():
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(3, kernels=4)
    alike = torch.ones(7, 3)
    assert_close(layer(alike), torch.cat([alike, torch.full((7, 4), 7.0)], dim=1))  # exp(0) seven times
    apart = 1e4 * torch.randn(7, 3)
    assert_close(layer(apart)[:, 3:], torch.ones(7, 4), atol=1e-3, rtol=0)  # only itself


def test_minibatch_similarity_is_the_papers_sum():
    torch.manual_seed(0)
    layer, f = MinibatchDiscrimination(3, kernels=2, kernel_features=5), torch.randn(4, 3)
    m = (f @ layer.project.weight.T).detach().view(4, 2, 5)
    expected = [[sum(math.exp(-(m[i, b] - m[j, b]).abs().sum()) for j in range(4)) for b in range(2)] for i in range(4)]
    assert_close(layer(f)[:, 3:], torch.tensor(expected))


def test_with_minibatch_discrimination_alone_the_critic_sees_the_rest_of_the_batch():
    x, plain, seeing = images(), tiny(), tiny(minibatch_kernels=5)
    for gan, is_alone in ((plain, True), (seeing, False)):
        whole, first = gan.critic.logit(x)[0], gan.critic.logit(x[:1])[0]
        assert torch.allclose(whole, first, atol=1e-6) is is_alone


def test_virtual_batch_norm_gives_the_reference_mean_zero_and_variance_one():
    torch.manual_seed(0)
    norm, x = VirtualBatchNorm(3, n_reference=10), 5 + 2 * torch.randn(14, 3, 6, 6)
    reference = norm(x)[:10]
    assert_close(reference.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    assert_close(reference.var((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_virtual_batch_norm_lets_an_event_count_as_one_of_n_plus_one():
    """Reference of ones and minus ones (mean 0, variance 1), an event of constant c: mean c/3, square (2 + c^2)/3."""
    reference = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[:, None]  # (2, 1, 2)
    c = 4.0
    y = VirtualBatchNorm(1, n_reference=2, eps=0.0)(torch.cat([reference, torch.full((1, 1, 2), c)]))
    expected = (c - c / 3) / math.sqrt((2 + c * c) / 3 - (c / 3) ** 2)
    assert_close(y[2], torch.full((1, 2), expected))


@pytest.mark.parametrize("is_training", [True, False])
def test_virtual_batch_norm_makes_each_drawing_independent_of_its_batch(is_training):
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    virtual, usual = tiny(virtual_batch_norm=6).train(is_training), tiny().train(is_training)
    assert_close(virtual.generator(z)[:1], virtual.generator(z[:1]))
    assert torch.allclose(usual.generator(z)[:2], usual.generator(z[:2]), atol=1e-6) is not is_training
    assert virtual.generator(z).shape == (5, *IMAGE)


def test_history_pulls_towards_the_mean_of_all_parameters_so_far():
    """The penalty is w ||theta_t - mean(theta_1 .. theta_t)||^2 with a fixed mean, and it is kept with the state."""
    gan, x = tiny(historical_averaging=0.5), images()
    theta = nn.utils.parameters_to_vector(gan.critic.parameters()).detach().clone()
    visited = []
    for shift in (0.0, 0.3, -0.6):
        nn.utils.vector_to_parameters(theta + shift, gan.critic.parameters())
        visited.append(theta + shift)
        penalty = gan.critic_terms(x, x)["history"]
        mean = torch.stack(visited).mean(0)
        assert_close(penalty, 0.5 * (visited[-1] - mean).square().sum(), atol=1e-5, rtol=1e-4)
    gradient = nn.utils.parameters_to_vector(torch.autograd.grad(penalty, list(gan.critic.parameters())))
    assert_close(gradient, visited[-1] - mean, atol=1e-5, rtol=1e-4)
    assert_close(gan.state_dict()["past_critic.mean"], mean)
    gan.eval()
    gan.critic_terms(x, x)
    assert gan.past_critic.n == 3  # to look is not to train


def test_history_keeps_a_player_near_its_past():
    far = []
    for weight in (0.0, 50.0):
        gan = tiny(historical_averaging=weight)
        begin = nn.utils.parameters_to_vector(gan.critic.parameters()).detach().clone()
        step = AdversarialStep(gan, lr=3e-3, generator_steps=0)
        for _ in range(40):
            step(images())
        far.append((nn.utils.parameters_to_vector(gan.critic.parameters()) - begin).norm().item())
    assert far[1] < 0.6 * far[0]


def test_without_techniques_it_is_the_plain_game():
    gan, x = tiny(), images()
    drawn = gan.draw(x, generator=torch.Generator().manual_seed(0))
    assert set(gan.critic_terms(drawn, x)) == set(gan.generator_terms(drawn, x)) == {"adversarial"}
    logits = gan.critic.logit(x), gan.critic.logit(drawn)
    assert_close(gan.critic_terms(drawn, x)["adversarial"], objectives.bce_critic_loss(*logits))
    assert_close(gan.generator_terms(drawn, x)["adversarial"], objectives.bce_generator_loss(logits[1]))


def test_other_players_take_the_place_of_the_convolutions():
    torch.manual_seed(0)
    trunk = ShapedMLP((2,), (5,), hidden=(8,))
    gan = ImprovedGAN(
        (2,), minibatch_kernels=3, generator=MLPGenerator((2,), latent=2, hidden=(8,)), trunk=trunk, features=5
    )
    AdversarialStep(gan)(torch.randn(16, 2))
    assert gan.sample(3).shape == (3, 2)
    with pytest.raises(ValueError, match="leave it out"):
        ImprovedGAN((2,), virtual_batch_norm=4, generator=MLPGenerator((2,), latent=2), trunk=trunk, features=5)


def test_virtual_batch_norm_holds_where_the_mean_is_far_larger_than_the_spread():
    """E x^2 - (E x)^2 would be negative in single precision."""
    norm = VirtualBatchNorm(3, n_reference=8)
    x = 100 + 1e-2 * torch.randn(12, 3, 5, generator=torch.Generator().manual_seed(0))
    exact = VirtualBatchNorm(3, n_reference=8).double()(x.double())
    assert_close(norm(x).double(), exact, atol=0.05, rtol=0.02)
