"""The README's tables of images: what stands beside what."""

import copy
import io
import math

import numpy as np
import pytest
import torch

from benchmarks import tables as tables_of_speed
from benchmarks.data import load
from benchmarks.images import files, tables
from benchmarks.images.cases import CASES
from benchmarks.images.evaluation import AnnealedImportance, Exact, ImportanceWeighted
from benchmarks.images.published import PUBLISHED, of_paper
from generative_core import FVSBN, MADE, VAE, Bernoulli, MixtureOfGaussians
from generative_core.markov_chain.rbm import RBM
from tests.generative_core.toys import ToyGaussian


def result(model: str = "made", seed: int = 0, nats: float = 88.5, **changes: object) -> dict:
    data = {
        "name": "mnist",
        "event_shape": [1, 28, 28],
        "pixels": "fixed",
        "rows": {"train": 50_000, "validation": 10_000, "test": 10_000},
        "seed": 0,
        "pool": False,
        "events_seed": 0,
    }
    data |= {name: value for name, value in changes.items() if name in data}
    return {
        "model": model,
        "about": "MADE",
        "preset": "cpu",
        "seed": seed,
        "device": "cpu",
        "threads": 1,
        "parameters": 1234567,
        "command": f"python -m benchmarks.images --model {model} --seed {seed}",
        "training": {"seconds": 600.0},
        "test": {"nats": nats, "estimator": "exact"}
        | ({} if data["pixels"] in ("fixed", "dynamic") else {"bits_per_dim": 3.25}),
        "data": data,
    } | {name: value for name, value in changes.items() if name not in data}


def test_row_has_every_seed_the_paper_and_the_cost():
    (row,) = tables.nats([result(seed=1, nats=88.25), result(seed=0, nats=88.5)]).rows
    assert row.cells == [
        "MADE; mnist 28 x 28, fixed",
        "88.50, 88.25",
        "88.40 (MADE, 1 layer, 1 mask)",
        "exact",
        "1,234,567",
        "10.0, 10.0",
        "1 core",
    ]


def test_annealed_estimates_say_how_far_to_trust_them():
    test = {
        "nats": 94.6,
        "estimator": "AIS, 500 x 15,000",
        "log_z_standard_error": 0.998,
        "effective_sample_size": 1.003,
    }
    (row,) = tables.nats([result("rbm", test=test)]).rows
    assert row.cells[3] == "AIS, 500 x 15,000: log Z ± 1.0, 1 of the chains carry it"


@pytest.mark.parametrize("change", [{"pixels": "dynamic"}, {"event_shape": [1, 14, 14]}, {"name": "fashion-mnist"}])
def test_other_data_are_another_row_without_the_papers_figure(change):
    rows = tables.nats([result(), result(**change)]).rows
    assert sorted(row.cells[2] for row in rows) == ["-", "88.40 (MADE, 1 layer, 1 mask)"]


@pytest.mark.parametrize("field", ["seed", "rows", "events_seed"])
def test_seeds_that_saw_other_data_do_not_share_a_row(field):
    other = copy.deepcopy(result(seed=1))
    other["data"][field] = None
    rows = tables.nats([result(), other]).rows
    assert [row.cells[1] for row in rows] == ["88.50", "88.50"]
    assert all(
        f"{field} {value}" in row.cells[0] for row, value in zip(rows, (result()["data"][field], None), strict=True)
    )


@pytest.mark.parametrize(("field", "value"), [("estimator", "IW-50"), ("n", 500)])
def test_other_estimates_and_other_numbers_of_images_do_not_share_a_row(field, value):
    first, other = result(), result(seed=1)
    other["test"] = other["test"] | {field: value}
    rows = tables.nats([first, other]).rows
    assert [row.cells[1] for row in rows] == ["88.50", "88.50"]
    assert str(value) in rows[1].cells[0]


def test_binary_and_grey_images_have_a_table_each_the_best_model_first():
    found = [result("nice", nats=2.0, pixels="dequantised"), result("b", nats=90.0), result("a", nats=95.0)]
    assert len(tables.bits(found).rows) == 1
    assert [row.cells[1] for row in tables.nats(found).rows] == ["90.00", "95.00"]
    assert tables.bits(found).rows[0].cells[1] == "3.250"


def test_paper_is_named_for_the_same_binarisation_only():
    assert of_paper(result("vae", pixels="dynamic")).nats == 86.76
    assert of_paper(result("vae", pixels="fixed")) is None
    assert of_paper(result("glow")) is None


def test_published_figures_are_of_cases_and_have_sources():
    for name, published in PUBLISHED.items():
        assert name in CASES
        assert published.binarisation in ("fixed", "dynamic")
        assert 70 < published.nats < 110
        assert any(character.isdigit() for character in published.source)


def test_throughput_table_shows_both_sides():
    row = {
        "label": "MAF, peer",
        "unit": "updates/s",
        "parameters": {"ours": 1000, "peer": 999},
        "ours": 20.0,
        "peer": 10.0,
        "ours_to_peer": 2.0,
    }
    text = tables_of_speed.throughput_core({"batch": 256, "threads": 1, "results": [row]}).markdown()
    assert "| MAF, peer | 20.0 updates/s | 10.0 updates/s | 2.00 | 1,000 / 999 |" in text


# -- the judgements that the tables rest on ----------------------------------------------------------------------------


def test_exact_is_the_mean_and_its_standard_error_over_all_parts():
    model, x = ToyGaussian([0.5, -1.0]), torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    found = Exact(images_at_a_time=3).judge(model, x, seed=0)
    nats = -model.log_prob(x).detach().double()
    assert found.n == 7
    assert found.nats == pytest.approx(nats.mean().item())
    assert found.standard_error == pytest.approx(nats.std().item() / math.sqrt(7))


def test_discrete_levels_add_nothing_and_dequantised_ones_their_width():
    model, x = ToyGaussian([0.0] * 64), torch.zeros(3, 64)
    found = Exact().judge(model, x, seed=0)
    grey, dequantised = (
        found.as_dict(load("digits", pixels=pixels))["bits_per_dim"] for pixels in ("grey", "dequantised")
    )
    assert grey == pytest.approx(found.nats / 64 / math.log(2))
    assert dequantised - grey == pytest.approx(math.log2(17 / 2))
    assert "bits_per_dim" not in found.as_dict(load("digits", pixels="fixed"))


def test_more_draws_tighten_the_bound_and_looks_repeat():
    torch.manual_seed(0)
    model = VAE((6,), latent=2, hidden=(8,), likelihood=Bernoulli()).eval()
    x = torch.bernoulli(torch.full((2000, 6), 0.5), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        evaluation = ImportanceWeighted(k=50, images_at_a_time=300)
        found = evaluation.judge(model, x, seed=0)
        assert found.estimator == "IW-50"
        assert found.more["minus_elbo"] == pytest.approx(evaluation.look(model, x, seed=0))
        assert found.more["minus_elbo"] == pytest.approx(ImportanceWeighted(k=1).judge(model, x, seed=0).nats, abs=0.1)
        assert found.nats < found.more["minus_elbo"]
        other = evaluation.look(model, x, seed=1)
    assert other != found.more["minus_elbo"]


def test_few_draws_for_all_and_many_for_some_estimate_many_for_all():
    torch.manual_seed(0)
    model = VAE((6,), latent=2, hidden=(8,), likelihood=Bernoulli()).eval()
    for parameter in model.decoder.parameters():
        parameter.data.mul_(2.0)  # so that the bounds differ by more than their noise
    rates = torch.tensor([0.05, 0.95]).repeat_interleave(1000).unsqueeze(1).expand(-1, 6)  # two kinds, sorted
    x = torch.bernoulli(rates, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        thrifty = ImportanceWeighted(k=200, k_for_all=4, n_with_k=400).judge(model, x, seed=0)
        plain = ImportanceWeighted(k=200, k_for_all=200).judge(model, x, seed=1)
        few = ImportanceWeighted(k=4).judge(model, x, seed=0)
    assert thrifty.n == plain.n == 2000
    error = 4 * thrifty.more["difference_standard_error"]
    assert abs(thrifty.nats - plain.nats) < error < few.nats - plain.nats
    both = math.hypot(few.standard_error, thrifty.more["difference_standard_error"])
    assert thrifty.standard_error == pytest.approx(both, rel=1e-6)


def test_annealed_estimate_meets_the_exact_partition_function():
    torch.manual_seed(0)
    model = RBM((10,), n_hidden=6).double()
    with torch.no_grad():
        model.weight.normal_(generator=torch.Generator().manual_seed(2))
        x = torch.bernoulli(torch.full((50, 10), 0.4, dtype=torch.float64), generator=torch.Generator().manual_seed(1))
        found = AnnealedImportance(n_chains=500, n_temperatures=500).judge(model, x, seed=0)
        exact = (model.energy(x) + model.exact_log_partition()).mean().item()
    error = found.more["log_z_standard_error"]
    assert 0 < error < 0.1
    assert found.nats == pytest.approx(exact, abs=4 * error)


def test_files_are_weighed_and_decoded():
    torch.manual_seed(0)
    model = FVSBN((1, 8, 8)).eval()
    x = torch.bernoulli(torch.full((40, 1, 8, 8), 0.5), generator=torch.Generator().manual_seed(0))
    found = files.sizes(model, x)
    assert found["decoded_exactly"]
    assert found["minus_log2_p"] == pytest.approx(-model.log_prob(x).sum().item() / math.log(2) / 8)
    assert 0 < found["model"] - found["minus_log2_p"] < 60
    from PIL import Image

    levels = x.numpy().astype(np.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(files.png(levels, is_binary=True))))
    np.testing.assert_array_equal(sheet, levels.reshape(-1, 8).astype(bool))
    (row,) = tables.files([result() | {"files": found}, result("glow") | {"files": None}]).rows
    assert row.cells[1] == f"{found['model'] / 40:.1f}"
    assert row.cells[-1] == "yes"


def test_what_has_no_single_order_is_no_coder():
    assert files.codable(MADE((4,)))
    assert not files.codable(MADE((4,), n_masks=2))
    assert not files.codable(MADE((4,), conditional=MixtureOfGaussians(2)))
    assert not files.codable(VAE((4,)))
