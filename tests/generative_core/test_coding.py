"""The entropy coder: lossless, as short as the model promises, and never silently wrong."""

import math

import pytest
import torch

from generative_core import FVSBN, MADE, NADE, AbstractTractable, Categorical, MaximumLikelihoodStep
from generative_core import DiscretisedLogisticMixture as Logistics
from generative_core.autoregressive.coding import decode, encode
from generative_core.autoregressive.conditionals import DiscreteConditional
from generative_core.autoregressive.protocols import Autoregressive, log_prob_along
from tests import zoo

pytest.importorskip("constriction")


def walks(case: zoo.Case) -> bool:
    """A model of one order over elements that have finitely many values."""
    model = case.make()
    is_mean = getattr(model, "n_masks", 1) > 1 or len(getattr(model, "orders", [0])) > 1
    return isinstance(model, Autoregressive) and isinstance(model.conditional, DiscreteConditional) and not is_mean


CASES = {name: case for name, case in zoo.TRACTABLES.items() if walks(case)}


@pytest.fixture
def nade() -> NADE:
    torch.manual_seed(0)
    return NADE((3, 4), hidden=6).eval()


@pytest.fixture
def x(nade) -> torch.Tensor:
    return nade.sample(20, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_autoregressive_model_of_the_zoo_codes_its_events_in_single_precision(case):
    torch.manual_seed(0)
    model = case.make().eval()
    x, context = case.batch(model, 5)
    data = encode(model, x, context)
    decoded = decode(model, data, 5, context)
    assert decoded.dtype == torch.float32
    assert model.conditional.index(decoded).equal(model.conditional.index(x))
    n_bits = -model.log_prob(x, context).sum().item() / math.log(2)
    assert abs(8 * len(data) - n_bits) < 0.01 * n_bits + 500


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_walk_gives_the_density_of_its_model(case):
    torch.manual_seed(0)
    model = case.make().double().eval()
    x, context = (None if t is None else t.double() for t in case.batch(model, 5))
    with torch.no_grad():
        torch.testing.assert_close(log_prob_along(model, x, context), model.log_prob(x, context))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("conditional", [Categorical(7), Logistics(2, 256)], ids=str)
def test_decoding_is_exact_for_sharp_and_for_flat_laws(conditional, dtype):
    torch.manual_seed(0)
    model = MADE((12,), hidden=(16, 16), conditional=conditional, context_features=2).to(dtype).eval()
    with torch.no_grad():
        model.net.layer(-1).weight.mul_(20)
    context = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = model.sample(30, context, generator=torch.Generator().manual_seed(0))
    assert torch.equal(decode(model, encode(model, x, context), context=context), x)


def test_the_size_is_within_a_percent_of_the_negative_log_likelihood():
    """A trained model on a source of known entropy: each element repeats the one before it with probability 0.9."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    flips = torch.rand(3000, 16, generator=generator) < 0.1
    flips[:, 0] = torch.rand(3000, generator=generator) < 0.5
    x = (flips.cumsum(1) % 2).float()
    model = FVSBN((16,))
    step = MaximumLikelihoodStep(model, lr=0.1)
    for _ in range(150):
        step(x[:2000])
    held_out = x[2000:]
    n_bits = -model.eval().log_prob(held_out).sum().item() / math.log(2)
    entropy = 1000 * (1 + 15 * (-0.9 * math.log2(0.9) - 0.1 * math.log2(0.1)))
    assert n_bits < 1.03 * entropy
    data = encode(model, held_out)
    assert abs(8 * len(data) - n_bits) < 0.01 * n_bits + 400  # 400: header, hashes, two words
    assert torch.equal(decode(model, data, 1000), held_out)


def test_no_events_and_one_element_are_coded_too(nade):
    assert decode(nade, encode(nade, torch.zeros(0, 3, 4))).shape == (0, 3, 4)
    lone = FVSBN((1,)).eval()
    x = torch.tensor([[1.0], [0.0], [1.0]])
    assert torch.equal(decode(lone, encode(lone, x)), x)


def test_every_damaged_byte_and_every_cut_is_noticed(nade, x):
    data = encode(nade, x)
    for i in range(len(data)):
        damaged = data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1 :]
        with pytest.raises(ValueError, match=r"damaged|do not begin"):
            decode(nade, damaged)
    for n_bytes in range(len(data)):
        with pytest.raises(ValueError, match=r"damaged|do not begin"):
            decode(nade, data[:n_bytes])


def refuses(model: AbstractTractable, data: bytes, match: str, **arguments) -> None:
    with pytest.raises(ValueError, match=match):
        decode(model, data, **arguments)


def test_another_model_is_refused(nade, x):
    data = encode(nade, x)
    with torch.no_grad():
        nade.bias[0, 0] += 1e-6
    refuses(nade, data, "another model")
    refuses(FVSBN((3, 4)).eval(), data, "another model")
    refuses(NADE((4, 3), hidden=6).eval(), data, r"another model, of events \(3, 4\)")
    refuses(NADE((12,), hidden=6).eval(), data, "another model")


def test_the_law_and_the_order_are_part_of_the_model():
    x = torch.zeros(2, 6)
    torch.manual_seed(0)
    models = [MADE((6,), conditional=Logistics(1, 5, max_scale=s)).eval() for s in (1.0, 2.0)]
    models[1].load_state_dict(models[0].state_dict())
    refuses(models[1], encode(models[0], x), "another model")
    members = MADE((6,), n_masks=2, random_order=True).eval()
    refuses(members.member(1), encode(members.member(0), x), "another model")


def test_another_context_is_noticed():
    torch.manual_seed(0)
    model = NADE((30,), hidden=8, context_features=2).eval()
    context = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    x = model.sample(10, context, generator=torch.Generator().manual_seed(0))
    data = encode(model, x, context)
    assert torch.equal(decode(model, data, 10, context), x)
    refuses(model, data, "context", context=context.flip(0))


def test_other_arithmetic_is_noticed(nade, x, monkeypatch):
    """The same parameters, but a walk whose numbers are a little off."""
    data = encode(nade, x)
    walk = nade.walk

    def rounded(n, context=None):
        inner = walk(n, context)
        parameters = next(inner)
        while True:
            value = yield parameters.mul(2).round().div(2)
            try:
                parameters = inner.send(value)
            except StopIteration:
                return

    monkeypatch.setattr(nade, "walk", rounded)
    refuses(nade, data, "not what was encoded")


def test_the_number_of_events_is_checked(nade, x):
    refuses(nade, encode(nade, x), "20 events, not 19", n=19)


def test_what_cannot_be_coded_is_refused(nade, x):
    with pytest.raises(ValueError, match="levels"):
        encode(nade, 0.8 * x)
    with pytest.raises(ValueError, match="levels"):
        encode(nade, x + 2)
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        encode(nade, x.flatten(1))
    with pytest.raises(ValueError, match=r"\.eval\(\)"):
        encode(nade.train(), x)
    real = zoo.TRACTABLES["made_real_conditional"].make().eval()
    with pytest.raises(ValueError, match="continuous"):
        encode(real, torch.zeros(2, 3), torch.zeros(2, zoo.CONTEXT))
