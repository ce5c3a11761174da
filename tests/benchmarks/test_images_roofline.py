"""What counts as work, and where a run stands beside the ceilings.  No test depends on how fast anything is."""

import math

import pytest
import torch
from torch import nn

from benchmarks.images import roofline
from benchmarks.images.report import roofline_line
from benchmarks.images.roofline import Ceilings, Work, ceilings_for, count, place, work_of_draw, work_of_update
from generative_core import MADE, RBM, MaximumLikelihoodStep, PixelCNN
from generative_core.training.contrastive_divergence import ContrastiveDivergenceStep
from tests.benchmarks.reports import achieved


@pytest.fixture
def quick(monkeypatch):
    """Ceilings that take no time, and are measured anew."""
    monkeypatch.setattr(roofline, "BUDGET", 1e-3)
    monkeypatch.setattr(roofline, "COPIED_BYTES", 2**16)
    roofline._measure_ceilings.cache_clear()
    yield
    roofline._measure_ceilings.cache_clear()


def test_a_product_has_two_flops_a_multiply_add_and_three_products_a_gradient():
    a, b = torch.randn(3, 5), torch.randn(5, 7, requires_grad=True)
    assert count(lambda: a @ b) == (2 * 3 * 5 * 7, False)
    assert count(lambda: (a @ b).sum().backward()) == (2 * (2 * 3 * 5 * 7), False)  # a wants no gradient
    a.requires_grad_(True)
    assert count(lambda: (a @ b).sum().backward()) == (3 * (2 * 3 * 5 * 7), False)
    assert count(lambda: a.exp() + 1) == (0, False)


def test_a_convolution_counts_its_kernel_at_every_pixel():
    net = nn.Conv2d(2, 4, 3, padding=1)
    assert count(lambda: net(torch.randn(5, 2, 8, 8))) == (2 * 5 * (8 * 8) * (3 * 3) * 2 * 4, True)


class Linear(nn.Module):
    """loss = x w, a product and nothing else."""

    def __init__(self, n: int):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(n, 1))

    def loss(self, x, context=None, *, generator=None):
        return (x @ self.w).squeeze(1)


def test_the_work_of_an_update_is_known_where_the_model_is():
    n, batch = 6, 4
    step = MaximumLikelihoodStep(Linear(n), lr=1e-3)
    work = work_of_update(step, (torch.randn(batch, n),))
    assert work.flops == 2 * (2 * batch * n)
    adam = 2 * n + 1  # two moments, and how many updates there were
    assert work.bytes_lower_bound == 4 * (batch * n + 2 * (n + n + adam))
    assert not work.convolves
    assert step.n_updates == 1


def test_parameters_without_a_gradient_are_not_updated():
    model = nn.Sequential(Linear(6), Linear(6))
    model.loss = model[0].loss  # type: ignore[assignment]
    work = work_of_update(MaximumLikelihoodStep(model), (torch.randn(4, 6),))
    assert (
        work.bytes_lower_bound
        == work_of_update(MaximumLikelihoodStep(Linear(6)), (torch.randn(4, 6),)).bytes_lower_bound
    )


@pytest.mark.parametrize("batch", [4, 8])
def test_the_work_of_made_grows_with_the_batch_and_masks_spare_none(batch):
    model = MADE((6,), hidden=(10,))
    work = work_of_update(MaximumLikelihoodStep(model), (torch.zeros(batch, 6),))
    products = [parameter.numel() for parameter in model.parameters() if parameter.ndim == 2]
    forward = 2 * batch * sum(products)
    assert forward < work.flops <= 3 * forward


def test_chains_are_work_too():
    model = RBM((8,), n_hidden=5)
    few, many = (
        work_of_update(ContrastiveDivergenceStep(model, n_chains=4, n_sweeps=n), (torch.zeros(4, 8),)).flops
        for n in (1, 3)
    )
    assert many - few == 2 * (2 * (2 * 4 * 8 * 5))  # two more sweeps, there and back


def test_a_draw_reads_the_parameters_and_writes_the_events():
    model = PixelCNN((1, 4, 4), channels=4, layers=2)
    model.eval()

    def draw(n: int) -> Work:
        with torch.no_grad():
            return work_of_draw(model, lambda: model.sample(n, generator=torch.Generator().manual_seed(0)))

    one, three = draw(1), draw(3)
    assert three.flops == 3 * one.flops > 0
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert one.bytes_lower_bound == 4 * (parameters + 16)
    assert three.bytes_lower_bound == 4 * (parameters + 3 * 16)


def test_shares_are_of_the_ceilings():
    ceilings = Ceilings(flops_per_s=1e11, bytes_per_s=1e10, product="float32")
    found, expected = place(Work(500_000_000, 10_000_000), 0.01, 100, ceilings), achieved()
    assert found.pop("ceilings") == expected.pop("ceilings")
    assert found == pytest.approx(expected)
    assert roofline_line(achieved()) == (
        "10,000 images/s; 50 GFLOP/s, 50.0% of a float32 product's 100; at least 1 GB/s, 10.0% of a copy's 10"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ceilings_are_measured_once_in_the_precision_of_the_run(dtype, quick, monkeypatch):
    found = ceilings_for(Work(1, 1, convolves=True), torch.device("cpu"), dtype)
    assert found.product == str(dtype).removeprefix("torch.")  # no TF32 on a processor
    assert 0 < found.flops_per_s < math.inf
    assert 0 < found.bytes_per_s < math.inf
    assert ceilings_for(Work(2, 2), torch.device("cpu"), dtype) is found
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    assert ceilings_for(Work(2, 2), torch.device("cpu"), dtype) is not found


def test_the_fastest_product_counts_and_a_long_one_is_the_last(monkeypatch):
    seconds = {256: 1e-3, 512: 4e-3, 1024: 0.2}
    sides = iter(seconds)
    monkeypatch.setattr(roofline, "_seconds", lambda call, device: seconds[next(sides)])
    assert roofline._best_product(torch.device("cpu"), torch.float32) == 2 * 512**3 / 4e-3
    assert next(sides, None) is None


def test_the_quickest_call_counts_after_one_to_warm_up(monkeypatch):
    clock = iter([0.0, 0.06, 1.0, 1.03, 2.0, 2.05])
    monkeypatch.setattr(roofline.time, "perf_counter", lambda: next(clock))
    calls: list = []
    assert roofline._seconds(lambda: calls.append(1), torch.device("cpu")) == pytest.approx(0.03)
    assert len(calls) == 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_convolutions_on_cuda_are_beside_products_in_tf32(quick):
    device = torch.device("cuda")
    before = torch.get_float32_matmul_precision()
    assert ceilings_for(Work(1, 1, convolves=True), device, torch.float32).product == "tf32"
    assert ceilings_for(Work(1, 1), device, torch.float32).product == "float32"
    assert torch.get_float32_matmul_precision() == before
