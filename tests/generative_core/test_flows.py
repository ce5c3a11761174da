"""Flows as models: exact densities and codes, sampling, interpolation, and what training them gains."""

import math

import pytest
import scipy.stats
import torch
from sklearn.datasets import make_moons
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import IAF, MAF, NICE, Flow, Glow, MaximumLikelihoodStep, RealNVP, interpolate
from generative_core.flows.base import StandardLogistic, StandardNormal
from generative_core.flows.bijector import Chain, Inverse
from generative_core.flows.elementwise import Affine, DiagonalScale
from generative_core.flows.flow import AbstractFlow
from generative_core.flows.linear import reverse
from generative_core.flows.masked_autoregressive import MaskedAutoregressive
from generative_core.latent.interpolation import lerp, slerp
from tests.generative_core.autoregressive_laws import shaken
from tests.generative_core.flow_laws import assert_inverse, assert_log_det, noise, seeded
from tests.generative_core.mixture_laws import integral

K = 2
# tanh, as autograd's Jacobians are compared to rounding and ReLU has corners
FLOWS = {
    "nice": (lambda shape: NICE(shape, hidden=(8, 8), context_features=K, activation=nn.Tanh)),
    "real_nvp": (lambda shape: RealNVP(shape, hidden=(8, 8), couplings=4, context_features=K, activation=nn.Tanh)),
    "glow": (lambda shape: Glow(shape, hidden=(8, 8), steps=3, context_features=K, activation=nn.Tanh)),
    "maf": (lambda shape: MAF(shape, hidden=(8, 8), layers=3, context_features=K, activation=nn.Tanh)),
    "iaf": (lambda shape: IAF(shape, hidden=(8, 8), layers=3, context_features=K, activation=nn.Tanh)),
}
SHAPES = [(2,), (5,), (1, 4, 4), (2, 2, 2)]
EVERY = pytest.mark.parametrize("make", FLOWS.values(), ids=FLOWS.keys())


def built(make, shape, by: float = 0.3) -> AbstractFlow:
    torch.manual_seed(0)
    return shaken(make(shape), by=by)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@EVERY
def test_codes_and_events_are_mutual_inverses(make, shape):
    flow = built(make, shape)
    x, context = noise(4, *shape), noise(4, K, seed=1)
    z = flow.encode(x, context)
    assert z.shape == (4, math.prod(shape))
    assert_close(flow.decode(z, context), x, rtol=0, atol=1e-9)
    assert_inverse(flow.bijector, x, context)


@pytest.mark.parametrize("shape", [(3,), (1, 4, 4)], ids=str)
@EVERY
def test_the_log_determinant_is_the_jacobians(make, shape):
    flow = built(make, shape)
    x, context = noise(1, *shape), noise(1, K, seed=1)
    assert_log_det(flow.bijector, x, context)
    z, log_det = flow.bijector.forward_and_log_det(x, context)
    assert_close(flow.log_prob(x, context), flow.base.log_prob(z) + log_det, rtol=0, atol=0)


@pytest.mark.parametrize(
    "flow",
    [
        RealNVP((1, 4, 4), scales=2, couplings=2, hidden=(4, 4), activation=nn.Tanh),
        RealNVP((1, 3, 3), couplings=2, hidden=(4,), activation=nn.Tanh),
        Glow((1, 4, 4), levels=2, steps=2, hidden=(4,), activation=nn.Tanh),
    ],
    ids=["real_nvp_two_scales", "real_nvp_odd", "glow_two_levels"],
)
def test_image_flows_of_several_scales_are_exact(flow):
    flow = shaken(flow, by=0.3)
    x = noise(2, *flow.event_shape)
    assert_inverse(flow.bijector, x, None)
    assert_log_det(flow.bijector, x, None)


@EVERY
def test_densities_in_the_plane_integrate_to_one(make):
    flow = built(make, (2,), by=0.2)
    for seed in range(2):
        context = noise(1, K, seed=seed)
        with torch.no_grad():
            total = integral(lambda x, c=context: flow.log_prob(x, c.expand(len(x), -1)), half_width=30, n=300)
        assert abs(total - 1) < 2e-3


@EVERY
def test_samples_are_decoded_noise_scaled_by_the_temperature(make):
    flow = built(make, (5,))
    context = noise(1, K).expand(50, -1)
    mode = flow.decode(torch.zeros(1, 5, dtype=torch.float64), context[:1])
    cold = flow.sample(50, context, generator=seeded(), temperature=0.0)
    assert_close(cold, mode.expand(50, -1), rtol=0, atol=1e-12)
    z = flow.encode(flow.sample(50, context, generator=seeded(), temperature=0.5), context)
    whole = flow.base.sample((50, 5), generator=seeded(), dtype=torch.float64)
    assert_close(z, 0.5 * whole, rtol=0, atol=1e-8)
    with pytest.raises(ValueError, match="temperature"):
        flow.sample(1, context[:1], temperature=-0.5)


def test_maf_and_iaf_of_the_same_networks_are_mutual_inverses():
    flow = shaken(MAF((4,), layers=1, hidden=(8, 8)))
    (layer,) = (bijector for bijector in flow.bijector.bijectors if isinstance(bijector, MaskedAutoregressive))
    x = noise(6, 4)
    assert_close(Inverse(layer)(layer(x)), x, rtol=0, atol=1e-10)
    assert_close(layer(Inverse(layer)(x)), x, rtol=0, atol=1e-10)
    # in an IAF the networks read the noise, so a sample is one pass: its first element moves alone
    flow = shaken(IAF((4,), layers=1, hidden=(8, 8)))
    z = noise(1, 4)
    slopes = torch.autograd.functional.jacobian(lambda z: flow.decode(z)[0], z)[:, 0]
    assert not slopes.triu(1).any()


def test_the_bases_are_the_distributions_they_name():
    z = noise(20, 3) * 3
    for base, reference in ((StandardNormal(), scipy.stats.norm), (StandardLogistic(), scipy.stats.logistic)):
        assert_close(base.log_prob(z), torch.tensor(reference.logpdf(z).sum(1)), rtol=0, atol=1e-10)
        draws = base.sample((4000,), generator=seeded(), dtype=torch.float64)
        assert scipy.stats.kstest(draws, reference.cdf).pvalue > 0.01
    far = torch.tensor([[1000.0]])
    assert StandardLogistic().log_prob(far).item() == StandardLogistic().log_prob(-far).item() == -1000


def test_a_flow_of_ones_own_bijector_is_the_density_it_should_be():
    scale = DiagonalScale((2,))
    scale.log_scale.data = torch.tensor([0.5, -0.25])
    flow = Flow((2,), Chain([scale])).double()
    x = noise(10, 2)
    expected = torch.distributions.Normal(0.0, (-scale.log_scale).exp()).log_prob(x).sum(1)
    assert_close(flow.log_prob(x), expected, rtol=0, atol=1e-12)
    swapped = Flow((2,), reverse(2))  # nothing to learn
    assert_close(swapped.sample(3, generator=seeded()).flip(1), StandardNormal().sample((3, 2), generator=seeded()))


def test_defaults_for_vectors_and_for_images():
    assert RealNVP((35,)).event_shape == (35,)
    for model in (RealNVP, Glow):
        flow = model((1, 28, 28), hidden=(4,))
        x = noise(2, 1, 28, 28).float() / 3
        assert_close(flow.decode(flow.encode(x)), x, rtol=0, atol=1e-4)
        parts = [math.prod(part) for part in flow.bijector.parts]
        assert parts == ([392, 196, 196] if model is RealNVP else [392, 392])  # 28 -> 14 -> 7


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RealNVP((1,)), "MAF"),
        (lambda: NICE((1,)), "MAF"),
        (lambda: Glow((4, 4)), "vectors"),
        (lambda: RealNVP((1, 4, 4), scales=4), "halved 2 times"),
        (lambda: RealNVP((4,), scales=2), "halved 0 times"),
        (lambda: RealNVP((1, 4, 4), scales=3), "take fewer"),
        (lambda: RealNVP((4,)).sample(1, temperature=float("nan")), "temperature"),
        (lambda: Glow((1, 7, 7)), "halved 0 times"),
        (lambda: Glow((1, 8, 8), levels=0), "at least 1"),
        (lambda: MAF((3,), layers=0), "layers=0"),
        (lambda: MAF((3,), hidden=(8, 4)), "equal widths"),
        (lambda: RealNVP((1, 4, 4), hidden=(8, 4)), "equal widths"),
        (lambda: RealNVP((4,), couplings=0), "couplings"),
        (lambda: Glow((4,), steps=0), "steps"),
        (lambda: Affine(-1.0), "max_log_scale"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_single_element_can_still_depend_on_the_context():
    flow = shaken(MAF((1,), context_features=K, hidden=(8,)))
    assert_inverse(flow.bijector, noise(5, 1), noise(5, K, seed=1))
    assert flow.log_prob(noise(1, 1).expand(5, 1), noise(5, K, seed=1)).std() > 0.1


def test_paths_begin_and_end_at_the_events():
    flow = built(FLOWS["real_nvp"], (5,))
    x0, x1, context = noise(3, 5), noise(3, 5, seed=1), noise(3, K)
    path = interpolate(flow, x0, x1, 7, context)
    assert path.shape == (7, 3, 5)
    assert_close(path[0], x0, rtol=0, atol=1e-9)
    assert_close(path[-1], x1, rtol=0, atol=1e-9)
    straight = interpolate(flow, x0, x1, 3, context, path=lerp)
    middle = (flow.encode(x0, context) + flow.encode(x1, context)) / 2
    assert_close(flow.encode(straight[1], context), middle, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="at least 2"):
        interpolate(flow, x0, x1, 1, context)


def test_the_arc_keeps_the_norm_and_survives_equal_and_opposite_ends():
    z0, z1 = (noise(4, 6, seed=s) for s in (0, 1))
    z1 = z1 * z0.norm(dim=1, keepdim=True) / z1.norm(dim=1, keepdim=True)
    for t in (0.0, 0.3, 1.0):
        assert_close(slerp(z0, z1, t).norm(dim=1), z0.norm(dim=1), rtol=1e-12, atol=0)
    assert_close(slerp(z0, z0, 0.4), z0, rtol=0, atol=1e-12)
    assert_close(slerp(z0, -z0, 0.25), 0.5 * z0, rtol=0, atol=1e-6)
    for end in (z0, -z0):
        (slope,) = torch.autograd.grad(slerp(z0.requires_grad_(True), end.detach(), 0.25).sum(), z0)
        assert_close(slope, torch.full_like(slope, 0.75))


def moons(n: int, seed: int) -> Tensor:
    return torch.tensor(make_moons(n, noise=0.08, random_state=seed)[0]).float()


def gaussian_log_prob(train: Tensor, test: Tensor) -> float:
    fitted = scipy.stats.multivariate_normal(train.mean(0), train.T.cov())
    return float(fitted.logpdf(test).mean())


# name -> (factory, updates, nats above a Gaussian)
LEARNERS = {
    "nice": (lambda: NICE((2,), hidden=(32, 32)), 60, 0.1),
    "real_nvp": (lambda: RealNVP((2,), couplings=6, hidden=(32, 32)), 150, 0.5),
    "glow": (lambda: Glow((2,), steps=4, hidden=(32, 32)), 60, 0.2),
    "maf": (lambda: MAF((2,), layers=3, hidden=(32, 32)), 60, 0.1),
    "iaf": (lambda: IAF((2,), layers=3, hidden=(32, 32)), 60, 0.1),
}


@pytest.mark.parametrize(("make", "n_steps", "margin"), LEARNERS.values(), ids=LEARNERS.keys())
def test_a_trained_flow_beats_a_gaussian_on_two_moons_and_still_integrates_to_one(make, n_steps, margin):
    train, test = moons(4000, 0), moons(2000, 1)
    torch.manual_seed(0)
    flow = make()
    step = MaximumLikelihoodStep(flow, lr=1e-2)
    for i in range(n_steps):
        step(train[torch.randint(len(train), (256,), generator=seeded(i))])
    flow.eval()
    with torch.no_grad():
        gain = flow.log_prob(test).mean().item() - gaussian_log_prob(train, test)
        assert gain > margin
        draws = flow.sample(2000, generator=seeded())
        flow.double()
        assert abs(integral(flow.log_prob, half_width=8, n=300) - 1) < 5e-3
    # a draw is as likely as a held-out event
    assert abs(flow.log_prob(draws.double()).mean().item() - flow.log_prob(test.double()).mean().item()) < 1.0


def test_a_conditional_flow_learns_what_the_context_says():
    """p(x | c) with x = c + noise of std 0.3: the flow's log-density nears the truth, the marginal's is far off."""
    torch.manual_seed(0)
    flow = RealNVP((2,), context_features=2, couplings=2, hidden=(32, 32))
    step = MaximumLikelihoodStep(flow, lr=1e-2)

    def draw(n: int, seed: int) -> tuple[Tensor, Tensor]:
        context = 2 * noise(n, 2, seed=seed).float()
        return context + 0.3 * noise(n, 2, seed=seed + 1).float(), context

    for i in range(100):
        step(*draw(256, 10 * i))
    x, context = draw(2000, 7)
    truth = torch.distributions.Normal(context, 0.3).log_prob(x).sum(1).mean()
    with torch.no_grad():
        assert truth - flow.eval().log_prob(x, context).mean() < 0.3
        assert truth - flow.log_prob(x, context.flip(0)).mean() > 3
