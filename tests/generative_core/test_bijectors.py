"""Invertible maps, one by one: exact inverses, exact log-determinants, known answers."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core.flows.actnorm import ActNorm
from generative_core.flows.bijector import Chain, Flatten, Inverse
from generative_core.flows.conditioners import ConvConditioner, MLPConditioner
from generative_core.flows.couplings import Coupling, MaskedCoupling, checkerboard, couple_halves
from generative_core.flows.elementwise import Additive, Affine, DiagonalScale
from generative_core.flows.linear import InvertibleLinear, Permutation, deal, reverse
from generative_core.flows.masked_autoregressive import MaskedAutoregressive
from generative_core.flows.multiscale import MultiScale, Squeeze
from generative_core.nets.masked import MaskedMLP
from tests.generative_core.autoregressive_laws import shaken
from tests.generative_core.flow_laws import assert_inverse, assert_log_det, jacobian, noise

K = 2
MASK = torch.tensor([True, False, False, True, True])


def mlp(n_in: int, n_out: int) -> nn.Module:
    return MLPConditioner(n_in, n_out, hidden=(8,), context_features=K)


def conv(n_in: int, n_out: int) -> nn.Module:
    return ConvConditioner(n_in, n_out, hidden=(4, 4), context_features=K)


def masked(**options) -> MaskedMLP:
    # tanh, as autograd's Jacobians are compared to rounding and ReLU has corners
    return MaskedMLP(5, 2, context_features=K, activation=nn.Tanh, **{"hidden": (16, 16), **options})


# name -> (factory, event shape)
BIJECTORS = {
    "diagonal_scale": (lambda: DiagonalScale((5,)), (5,)),
    "actnorm": (lambda: ActNorm((5,)), (5,)),
    "actnorm_image": (lambda: ActNorm((2, 3, 2)), (2, 3, 2)),
    "reverse": (lambda: reverse(5), (5,)),
    "deal": (lambda: deal(5), (5,)),
    "linear": (lambda: InvertibleLinear(5), (5,)),
    "convolution_1x1": (lambda: InvertibleLinear(3), (3, 2, 2)),
    "additive": (lambda: couple_halves(5, mlp, Additive(), move_first=False), (5,)),
    "affine": (lambda: couple_halves(5, mlp, Affine(), move_first=False), (5,)),
    "affine_moves_first": (lambda: couple_halves(5, mlp, Affine(), move_first=True), (5,)),
    "affine_uneven": (lambda: Coupling(mlp(1, 8), Affine(), n_first=1), (5,)),
    "affine_channels": (lambda: couple_halves(4, conv, Affine(1.0), move_first=True), (4, 2, 2)),
    "additive_mask": (lambda: MaskedCoupling(mlp(5, 5), Additive(), keep=MASK), (5,)),
    "affine_mask": (lambda: MaskedCoupling(mlp(5, 10), Affine(), keep=MASK), (5,)),
    "affine_checkerboard": (lambda: MaskedCoupling(conv(1, 2), Affine(), keep=checkerboard((1, 3, 3))), (1, 3, 3)),
    "squeeze": (Squeeze, (1, 2, 4)),
    "flatten": (lambda: Flatten((1, 2, 2)), (1, 2, 2)),
    "multiscale": (
        lambda: MultiScale(
            [Squeeze(), Chain([couple_halves(2, conv, Affine(), move_first=False)])], [(4, 2, 2), (2, 2, 2)]
        ),
        (1, 4, 4),
    ),
    "autoregressive": (lambda: MaskedAutoregressive(masked(), Affine()), (5,)),
    "autoregressive_residual_reversed": (
        lambda: MaskedAutoregressive(masked(residual=True, order=torch.arange(5).flip(0)), Affine()),
        (5,),
    ),
    "autoregressive_additive": (
        lambda: MaskedAutoregressive(MaskedMLP(5, 1, hidden=(3,), context_features=K, direct=True), Additive()),
        (5,),
    ),
    "inverse_autoregressive": (lambda: Inverse(MaskedAutoregressive(masked(hidden=(7, 3)), Affine())), (5,)),
    "chain": (lambda: Chain([ActNorm((5,)), deal(5), couple_halves(5, mlp, Affine(), move_first=True)]), (5,)),
}
EVERY = pytest.mark.parametrize(("make", "shape"), BIJECTORS.values(), ids=BIJECTORS.keys())


def built(make):
    torch.manual_seed(0)
    return shaken(make(), by=0.4)


@EVERY
def test_the_inverse_undoes_the_map(make, shape):
    assert_inverse(built(make), noise(4, *shape), noise(4, K, seed=1))


@EVERY
def test_the_log_determinant_is_the_jacobians(make, shape):
    assert_log_det(built(make), noise(2, *shape), noise(2, K, seed=1))


@EVERY
def test_every_parameter_has_a_gradient_both_ways(make, shape):
    bijector = built(make)
    for direction in (bijector.forward_and_log_det, bijector.inverse_and_log_det):
        x = noise(8, *shape)
        if direction == bijector.inverse_and_log_det:
            x = bijector(x, noise(8, K, seed=1)).detach()
        bijector.zero_grad()
        y, log_det = direction(x.requires_grad_(True), noise(8, K, seed=1))
        (y.square().sum() + log_det.sum()).backward()
        assert [name for name, p in bijector.named_parameters() if p.grad is None or not p.grad.any()] == []


@EVERY
def test_half_precision_regions_leave_the_event_and_its_log_determinant_in_full_precision(make, shape):
    bijector = built(make).float()
    x, context = noise(4, *shape).float(), noise(4, K, seed=1).float()
    for direction in (bijector.forward_and_log_det, bijector.inverse_and_log_det):
        event = x if direction == bijector.forward_and_log_det else bijector(x, context).detach()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y, log_det = direction(event, context)
        assert y.dtype == log_det.dtype == torch.float32
        expected, log_det_expected = direction(event, context)
        assert_close(y, expected, rtol=0.1, atol=0.3)  # the nets are rounded
        assert_close(log_det, log_det_expected, rtol=0.1, atol=0.3)


def test_in_half_precision_regions_the_log_determinant_is_still_that_of_the_map_applied():
    affine = shaken(couple_halves(200, lambda a, b: MLPConditioner(a, b, hidden=(8,)), Affine(), move_first=False))
    linear = shaken(InvertibleLinear(8), by=0.1)
    x = noise(5, 200).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, log_det = affine.float().forward_and_log_det(x)
        scale = affine(x + (torch.arange(200) >= 100)) - y  # what moves, moved by 1
        matrix = linear.float()(torch.eye(8)).T
        log_det_linear = linear.forward_and_log_det(x[:, :8])[1]
    assert_close(log_det, scale[:, 100:].log().sum(1), rtol=0, atol=1e-3)
    assert_close(log_det_linear, torch.linalg.slogdet(matrix).logabsdet.expand(5), rtol=0, atol=1e-5)


CONDITIONAL = {name: case for name, case in BIJECTORS.items() if name.startswith(("additive", "affine", "auto", "inv"))}


@pytest.mark.parametrize(("make", "shape"), CONDITIONAL.values(), ids=CONDITIONAL.keys())
def test_parametrised_maps_start_as_the_identity_and_hear_the_context(make, shape):
    torch.manual_seed(0)
    x = noise(4, *shape)
    bijector = make().double()
    y, log_det = bijector.forward_and_log_det(x, noise(4, K))
    assert torch.equal(y, x)
    assert not log_det.any()
    bijector = shaken(bijector)
    assert ((bijector(x, noise(4, K)) - bijector(x, noise(4, K, seed=1))).flatten(1).abs().amax(1) > 1e-3).all()


def test_a_chain_applies_the_first_in_the_list_first():
    double, drop = shaken(DiagonalScale((3,)), by=0), reverse(3)
    double.log_scale.data += torch.tensor([1.0, 2.0, 4.0]).log()
    x = torch.tensor([[1.0, 10.0, 100.0]], dtype=torch.float64)
    y, log_det = Chain([double, drop]).forward_and_log_det(x)
    assert_close(y, torch.tensor([[400.0, 20.0, 1.0]], dtype=torch.float64), rtol=1e-6, atol=0)
    assert_close(log_det.item(), math.log(8), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="at least one"):
        Chain([])


def test_permutations_put_elements_where_they_say():
    x = torch.arange(7.0).expand(1, -1)
    assert deal(7)(x).tolist() == [[0, 2, 4, 6, 1, 3, 5]]
    assert reverse(3)(x[:, :3]).tolist() == [[2, 1, 0]]
    with pytest.raises(ValueError, match="permutation"):
        Permutation(torch.tensor([0, 0, 1]))


@pytest.mark.parametrize("n", [2, 8, 35, 64, 100])
def test_dealing_log2_n_times_parts_every_pair(n):
    place = torch.arange(n)[None]  # the elements in the order of their current places
    parted = torch.eye(n, dtype=torch.bool)
    for _ in range(math.ceil(math.log2(n))):
        side = torch.empty(n, dtype=torch.bool)
        place = deal(n)(place.float()).long()
        side[place[0]] = torch.arange(n) < (n + 1) // 2
        parted |= side[:, None] != side
    assert parted.all()


def test_couplings_leave_what_they_keep_to_the_bit():
    x, context = noise(3, 5), noise(3, K)
    first = shaken(couple_halves(5, mlp, Affine(), move_first=False))(x, context)
    last = shaken(couple_halves(5, mlp, Affine(), move_first=True))(x, context)
    mask = shaken(MaskedCoupling(mlp(5, 10), Affine(), keep=MASK))(x, context)
    assert torch.equal(first[:, :3], x[:, :3])
    assert torch.equal(last[:, 3:], x[:, 3:])
    assert torch.equal(mask[:, MASK], x[:, MASK])
    for y, moved in ((first, [3, 4]), (last, [0, 1, 2]), (mask, [1, 2])):
        assert (y[:, moved] != x[:, moved]).all()


def test_a_mask_of_ones_own_travels_with_the_state():
    one, other = (shaken(MaskedCoupling(mlp(5, 10), Affine(), keep=keep)) for keep in (MASK, ~MASK))
    x, context = noise(4, 5), noise(4, K)
    assert not torch.equal(one(x, context), other(x, context))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x, context), other(x, context))


@pytest.mark.parametrize("keep", [torch.ones(3), torch.zeros(3)])
def test_a_mask_that_keeps_all_or_nothing_is_refused(keep):
    with pytest.raises(ValueError, match="constant"):
        MaskedCoupling(nn.Identity(), Additive(), keep=keep.bool())


def test_the_checkerboard():
    assert checkerboard((2, 2, 3)).int().tolist() == [[[1, 0, 1], [0, 1, 0]]] * 2


def test_log_scales_are_bounded_and_gentle_near_zero():
    x = torch.ones(1, 1, dtype=torch.float64)
    for raw, expected in ((1e6, 2.0), (-1e6, -2.0), (0.01, 0.01)):
        _, log_det = Affine(2.0).forward_and_log_det(x, (0 * x, raw * x))
        assert_close(log_det.item(), expected, rtol=0, atol=1e-6)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="max_log_scale"):
            Affine(wrong)


def test_additive_couplings_keep_volume():
    coupling = shaken(couple_halves(5, mlp, Additive(), move_first=False))
    assert not coupling.forward_and_log_det(noise(3, 5), noise(3, K))[1].any()


def test_the_invertible_linear_starts_as_a_rotation():
    linear = InvertibleLinear(6).double()
    w = linear(torch.eye(6, dtype=torch.float64)).T
    assert_close(w @ w.T, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-5)  # made in float32
    assert (w - torch.eye(6, dtype=torch.float64)).abs().max() > 0.1


def test_a_1x1_convolution_is_the_same_matrix_at_every_position():
    linear, x = shaken(InvertibleLinear(3)), noise(2, 3, 2, 5)
    positions = x.movedim(1, -1).reshape(-1, 3)
    assert_close(linear(x), linear(positions).view(2, 2, 5, 3).movedim(-1, 1), rtol=0, atol=1e-12)


def test_the_squeeze_turns_blocks_into_channels():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    y = Squeeze()(x)
    assert y.shape == (1, 4, 2, 2)
    assert y[0, :, 0, 0].tolist() == [0, 1, 4, 5]
    assert y[0, :, 1, 1].tolist() == [10, 11, 14, 15]


def test_the_multi_scale_lists_first_what_left_first():
    split = MultiScale([Squeeze(), Squeeze()], [(4, 2, 2), (8, 1, 1)])
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # the rows 1 and 3 leave first; of the rows 0 and 2 all remain
    assert sorted(split(x)[0, :8].tolist()) == [4, 5, 6, 7, 12, 13, 14, 15]
    with pytest.raises(ValueError, match="got 3"):
        MultiScale([Squeeze(), Squeeze()], [(3, 2, 2), (6, 1, 1)])


@pytest.mark.parametrize("options", [{}, {"residual": True, "hidden": (9, 9, 9)}, {"direct": True, "hidden": (2,)}])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_the_jacobian_is_triangular_in_the_networks_order(options, order):
    order = torch.tensor(order)
    bijector = shaken(MaskedAutoregressive(masked(order=order, **options), Affine()))
    (rows,) = jacobian(bijector, noise(1, 5), noise(1, K))
    assert not rows[order][:, order].triu(1).any()
    assert (rows.diagonal() > 0).all()
    assert rows.tril(-1).any() or rows.triu(1).any()


def test_a_masked_network_with_the_wrong_number_of_outputs_is_refused():
    with pytest.raises(ValueError, match="n_out_per_dim=2"):
        MaskedAutoregressive(MaskedMLP(3, 1, hidden=(4,)), Affine())
