"""Metrics on cases with exact answers: closed forms, identities, expectations, other implementations."""

import math

import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import metrics
from generative_core.metrics import distances
from generative_core.metrics.kernels import _cubic, _unbiased


def normal(n: int, d: int, *, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=[7, 1024], ids=["many blocks", "one block"])
def block_size(request, monkeypatch) -> int:
    monkeypatch.setattr(distances, "BLOCK", request.param)
    return request.param


# -- likelihood --------------------------------------------------------------------------------------------------------


def test_bits_per_dim_of_a_uniform_over_256_levels_is_8():
    n_dims = 784
    density = torch.tensor([-n_dims * math.log(2)], dtype=torch.float64)  # 1/2 per dimension of [-1, 1]
    assert_close(metrics.bits_per_dim(density, n_dims).item(), 8.0)
    probability = torch.tensor([-n_dims * math.log(256)], dtype=torch.float64)
    assert_close(metrics.bits_per_dim(probability, n_dims, levels=None).item(), 8.0)
    assert_close(metrics.bits_per_dim(density, n_dims, levels=17).item(), math.log2(17))


def test_bits_per_dim_of_published_nats():
    """RealNVP's unit: CIFAR-10 on [-1, 1], 5371.78 nats are 4.48 bits."""
    assert abs(metrics.bits_per_dim(torch.tensor([5371.78]), 3072).item() - 4.48) < 0.005


# -- Frechet distance --------------------------------------------------------------------------------------------------


def test_frechet_distance_of_two_gaussians_on_a_line():
    """(m_a - m_b)^2 + (s_a - s_b)^2."""
    mean, cov = torch.zeros(1), torch.ones(1, 1)
    assert_close(metrics.gaussian_frechet_distance(mean, cov, mean + 3, 4 * cov), 9.0 + 1.0)


def test_frechet_distance_is_that_of_the_matrix_square_root():
    a, b = normal(50, 6), normal(70, 6, seed=1) @ normal(6, 6, seed=2) + 0.3
    cov_a, cov_b = a.T.cov(), b.T.cov()
    root = torch.from_numpy(sqrtm((cov_a @ cov_b).numpy()).real)
    expected = (a.mean(0) - b.mean(0)).square().sum() + (cov_a + cov_b - 2 * root).trace()
    assert_close(metrics.frechet_distance(a, b), expected.item())
    assert_close(metrics.frechet_distance(b, a), expected.item())


@pytest.mark.parametrize("n", [5, 200])
def test_frechet_distance_of_a_set_to_itself_is_zero_singular_covariances_included(n):
    x = normal(n, 40) * 1e3 + 1e5
    assert metrics.frechet_distance(x, x) < 1e-6 * x.T.cov().trace()


def test_frechet_distance_where_a_covariance_is_singular():
    """N(0, diag(1, 0)) to N(0, diag(0, 4)): no overlap, 1 + 4."""
    zero = torch.zeros(2)
    cov_a, cov_b = torch.diag(torch.tensor([1.0, 0.0])), torch.diag(torch.tensor([0.0, 4.0]))
    assert_close(metrics.gaussian_frechet_distance(zero, cov_a, zero, cov_b), 5.0)


def test_fid_of_torchmetrics_is_the_same_number():
    features = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Tanh()).double()
    real = normal(300, 16).reshape(300, 1, 4, 4)
    model = normal(200, 16, seed=1).reshape(200, 1, 4, 4) + 0.5
    ours = metrics.frechet_distance(features(real), features(model))
    assert_close(metrics.fid(real, model, features, batch_size=64), ours, rtol=1e-6, atol=0)
    assert ours > 0.1


def test_frechet_distance_needs_two_rows_and_finite_ones():
    with pytest.raises(ValueError, match="two rows"):
        metrics.frechet_distance(normal(1, 2), normal(5, 2))
    with pytest.raises(ValueError, match="finite"):
        metrics.frechet_distance(normal(5, 2) / 0, normal(5, 2))


# -- kernels -----------------------------------------------------------------------------------------------------------


def test_mmd_is_its_definition(block_size):
    x, y = normal(20, 3), normal(15, 3, seed=1) + 1
    widths = (0.5, 2.0)

    def k(a: Tensor, b: Tensor) -> Tensor:
        return sum((-(a - b).square().sum() / (2 * h**2)).exp() for h in widths) / 2

    within_x = torch.stack([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]).mean()
    within_y = torch.stack([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]).mean()
    between = torch.stack([k(a, b) for a in x for b in y]).mean()
    assert_close(metrics.mmd_squared(x, y, bandwidth=widths), (within_x + within_y - 2 * between).item())


def test_mmd_is_unbiased():
    """N(0, 1) against N(m, 1) with k of width 1: E k = exp(-d^2 / 6) / sqrt(3) where the means are d apart."""
    repeats = 200
    for m in (0.0, 1.0):
        values = torch.tensor(
            [
                metrics.mmd_squared(normal(10, 1, seed=2 * i), normal(12, 1, seed=2 * i + 1) + m, bandwidth=1.0)
                for i in range(repeats)
            ]
        )
        expected = 2 * (1 - math.exp(-(m**2) / 6)) / math.sqrt(3)
        assert abs(values.mean() - expected) < 4 * values.std() / math.sqrt(repeats)
        assert values.std() / math.sqrt(repeats) < 0.02
    assert values.min() < expected < values.max()


def test_median_bandwidth_is_the_median_distance():
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]])
    assert_close(metrics.median_bandwidth(x, y), 2.0)  # of 1, 2 and 3
    many = normal(5000, 2)
    assert abs(metrics.median_bandwidth(many, many, max_rows=500) - metrics.median_bandwidth(many, many)) < 0.1
    assert metrics.mmd_squared(x, y.expand(2, 1) + torch.tensor([[0.0], [0.5]])) > 0


def test_mmd_refuses_what_it_cannot_do():
    x = normal(4, 2)
    with pytest.raises(ValueError, match="positive"):
        metrics.mmd_squared(x, x, bandwidth=0.0)
    with pytest.raises(ValueError, match="state one"):
        metrics.mmd_squared(torch.ones(4, 2), torch.ones(4, 2))
    with pytest.raises(ValueError, match="two rows"):
        metrics.mmd_squared(x[:1], x, bandwidth=1.0)
    with pytest.raises(ValueError, match="different events"):
        distances.pair_of_rows(x, normal(4, 3))


def test_kernel_distance_is_that_of_torchmetrics(block_size):
    from torchmetrics.image.kid import poly_mmd

    a, b = normal(30, 5), normal(30, 5, seed=1) + 0.5
    assert_close(_unbiased(a, b, _cubic), poly_mmd(a, b).item())
    whole = metrics.kernel_distance(a, b, subset_size=30, n_subsets=3)
    assert_close(whole.mean, poly_mmd(a, b).item())
    assert whole.std < 1e-12


def test_kernel_distance_of_equal_laws_is_zero_on_average():
    generator = torch.Generator().manual_seed(0)
    a, b = normal(2000, 4), normal(2000, 4, seed=1)
    same = metrics.kernel_distance(a, b, subset_size=100, n_subsets=50, generator=generator)
    other = metrics.kernel_distance(a, b + 0.5, subset_size=100, n_subsets=50, generator=generator)
    assert abs(same.mean) < same.std
    assert other.mean > 2 * other.std
    with pytest.raises(ValueError, match="subset_size"):
        metrics.kernel_distance(a[:50], b, subset_size=100)


# -- manifolds ---------------------------------------------------------------------------------------------------------


def test_a_set_against_itself_has_all_four_at_one(block_size):
    """In another order and with clusters far apart, so that equal distances are rounded in different ways."""
    x = torch.cat([normal(100, 4) + 3e3, normal(100, 4, seed=1), normal(3, 4, seed=2).repeat(7, 1) - 3e3])
    assert metrics.precision_recall(x, x.flip(0)) == (1.0, 1.0)
    assert metrics.density_coverage(x, x.flip(0)).coverage == 1
    without_duplicates = x[:200]
    assert_close(metrics.density_coverage(without_duplicates, without_duplicates.flip(0)).density, 1.0)


def test_disjoint_sets_have_all_four_at_zero(block_size):
    x, y = normal(60, 3), normal(50, 3, seed=1) + 100
    assert metrics.precision_recall(x, y) == (0.0, 0.0)
    assert metrics.density_coverage(x, y) == (0.0, 0.0)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.1, 1000.3), (0.1, 12.34), (0.3, 0.3)])
def test_a_line_by_hand(block_size, scale, shift):
    """Real at -2.5, 0, 1, 2, whose nearest are 2.5, 1, 1, 1 away; model at -1, 0.5, 3, 4.5, all with 1.5.

    3 is on the border of 2's ball and in no other; -2.5 is on the border of -1's; whatever the rounding.
    """
    real = scale * torch.tensor([[-2.5], [0.0], [1.0], [2.0]], dtype=torch.float64) + shift
    model = scale * torch.tensor([[-1.0], [0.5], [3.0], [4.5]], dtype=torch.float64) + shift
    assert metrics.precision_recall(real, model, k=1) == (3 / 4, 1.0)  # borders count
    density, coverage = metrics.density_coverage(real, model, k=1)
    assert density == 3 / 4  # here they do not: -1 is inside of one ball, 0.5 of two
    assert coverage == 1.0  # 2 is covered by 3, on its border


def test_a_collapsed_model_has_precision_without_recall():
    real = normal(500, 2)
    collapsed = 0.01 * normal(500, 2, seed=1)
    precision, recall = metrics.precision_recall(real, collapsed)
    assert precision > 0.9
    assert recall < 0.1
    assert metrics.density_coverage(real, collapsed).coverage < 0.3


def test_coverage_of_equal_laws_is_its_expectation():
    """The k nearest of a real event in the union are all real with probability 2^-k, about."""
    density, coverage = metrics.density_coverage(normal(2000, 2), normal(2000, 2, seed=1), k=3)
    assert abs(coverage - (1 - 2**-3)) < 0.03
    assert abs(density - 1) < 0.05


def test_k_must_leave_a_neighbour():
    with pytest.raises(ValueError, match="k must be"):
        metrics.precision_recall(normal(3, 2), normal(5, 2), k=3)
    with pytest.raises(ValueError, match="k must be"):
        metrics.density_coverage(normal(9, 2), normal(5, 2), k=0)


# -- classifiers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classifier", [None, LogisticRegression(), KNeighborsClassifier(5)], ids=type)
def test_c2st_is_a_half_for_equal_laws_and_one_for_far_ones(classifier):
    x, y = normal(300, 2), normal(300, 2, seed=1)
    same = metrics.c2st(x, y, classifier=classifier)
    assert abs(same.accuracy - 0.5) < 0.08  # four standard deviations of 600 coin flips
    assert same.p_value > 0.01
    far = metrics.c2st(x, y + 5, classifier=classifier)
    assert far.accuracy > 0.98
    assert far.p_value < 1e-6
    assert metrics.c2st(x, y, classifier=classifier) == same


def test_c2st_sees_what_the_optimal_classifier_sees():
    """N(-1/2, 1) and N(1/2, 1): the best accuracy is Phi(1/2) = 0.6915."""
    x, y = normal(3000, 1) - 0.5, normal(3000, 1, seed=1) + 0.5
    assert abs(metrics.c2st(x, y, classifier=LogisticRegression()).accuracy - 0.6915) < 0.02


def test_c2st_with_a_nonlinear_classifier_sees_a_ring_that_a_linear_one_does_not():
    x = normal(400, 2)
    ring = 3 * nn.functional.normalize(normal(400, 2, seed=1))
    assert metrics.c2st(x, ring).accuracy > 0.9
    assert metrics.c2st(x, ring, classifier=LogisticRegression()).accuracy < 0.62


def test_p_value_of_c2st_is_the_normal_tail():
    class Half:
        """Right in three of four."""

        def fit(self, X, y):
            return self

        def predict(self, X):
            return X[:, 0] > 0

    x = torch.tensor([[1.0], [1.0], [-1.0], [1.0]]).repeat(5, 1)
    accuracy, p_value = metrics.c2st(x, -x, classifier=Half())
    assert accuracy == 0.75
    assert_close(p_value, 0.5 * math.erfc((0.25 * 2 * math.sqrt(40)) / math.sqrt(2)))


def test_c2st_refuses_sides_of_two_sizes_and_too_few_rows():
    with pytest.raises(ValueError, match="one size"):
        metrics.c2st(normal(9, 2), normal(8, 2))
    with pytest.raises(ValueError, match="n_folds"):
        metrics.c2st(normal(4, 2), normal(4, 2))


def test_tstr_is_high_for_samples_of_the_right_class_and_chance_for_shuffled_ones():
    labels = torch.arange(600) % 3
    centres = torch.tensor([[0.0, 3.0], [3.0, 0.0], [-3.0, -3.0]], dtype=torch.float64)
    x_model, x_real = centres[labels] + normal(600, 2), centres[labels] + normal(600, 2, seed=1)
    assert metrics.tstr(x_model, labels, x_real, labels) > 0.97
    assert metrics.tstr(x_model, labels, x_real, labels, classifier=KNeighborsClassifier(5)) > 0.97
    assert metrics.tstr(x_model, (labels + 1) % 3, x_real, labels) < 0.03


# -- images ------------------------------------------------------------------------------------------------------------


def test_psnr_of_a_known_error():
    x = torch.zeros(2, 1, 4, 4)
    assert_close(metrics.psnr(x, x + torch.tensor([0.2, 2.0]).reshape(2, 1, 1, 1)), torch.tensor([20.0, 0.0]))
    assert metrics.psnr(x, x).tolist() == [math.inf, math.inf]


def test_ssim_is_that_of_torchmetrics_inside_the_border():
    from torchmetrics.functional.image import structural_similarity_index_measure

    x = normal(3, 2 * 20 * 17).reshape(3, 2, 20, 17).clamp(-1, 1)
    y = (x + 0.3 * normal(3, 2 * 20 * 17, seed=1).reshape(x.shape)).clamp(-1, 1)
    _, everywhere = structural_similarity_index_measure(x, y, data_range=2.0, return_full_image=True)
    inside = everywhere[..., 5:-5, 5:-5].flatten(1).mean(1)
    assert_close(metrics.ssim(x, y), inside)
    assert_close(metrics.ssim(x, x), torch.ones(3, dtype=torch.float64))


def test_ssim_of_constant_images_is_the_luminance_term():
    a, b, c_1 = 0.5, -0.25, 0.02**2
    x = torch.full((1, 1, 12, 12), a, dtype=torch.float64)
    assert_close(metrics.ssim(x, torch.full_like(x, b)).item(), (2 * a * b + c_1) / (a**2 + b**2 + c_1))


def test_ssim_names_images_that_are_too_small():
    with pytest.raises(ValueError, match="11 x 11"):
        metrics.ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))


# -- classes and modes -------------------------------------------------------------------------------------------------


def test_inception_score_at_both_ends():
    assert_close(metrics.inception_score(torch.eye(5).repeat(3, 1) * 1e4), 5.0)  # sure and even
    assert_close(metrics.inception_score(torch.eye(5)[:1].repeat(9, 1) * 1e4), 1.0)  # sure and always the same
    assert_close(metrics.inception_score(torch.zeros(7, 5)), 1.0)  # never sure


def test_mode_coverage_counts_modes_and_samples():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = torch.tensor([[0.1, 0.0], [0.0, -0.2], [10.0, 0.3], [5.0, 5.0]])
    assert metrics.mode_coverage(x, centres, radius=0.3) == (2, 0.75)
    assert metrics.mode_coverage(x, centres, radius=0.05) == (0, 0.0)


# -- floors ------------------------------------------------------------------------------------------------------------


def test_floor_is_over_disjoint_sets_drawn_anew():
    seen = []

    def metric(a: Tensor, b: Tensor) -> float:
        seen.append((a, b))
        return float(a.mean() - b.mean())

    x = torch.arange(10.0)[:, None]
    mean, std = metrics.real_vs_real(metric, x, n=4, n_repeats=3, generator=torch.Generator().manual_seed(0))
    assert [len(torch.cat(pair).unique()) for pair in seen] == [8, 8, 8]
    values = torch.tensor([metric(*pair) for pair in seen[:3]], dtype=torch.float64)
    assert_close((mean, std), (values.mean().item(), values.std().item()))
    assert std > 0


def test_floor_of_the_frechet_distance_is_above_zero_and_below_a_model():
    x = normal(2000, 8)
    floor = metrics.real_vs_real(metrics.frechet_distance, x, n=500, generator=torch.Generator().manual_seed(0))
    assert 0 < floor.mean < 0.3
    assert metrics.frechet_distance(x[:500], normal(500, 8, seed=1) * 1.2 + 0.3) > floor.mean + 5 * floor.std


def test_floor_needs_enough_events_and_repeats():
    with pytest.raises(ValueError, match="take a smaller n"):
        metrics.real_vs_real(metrics.frechet_distance, normal(9, 2), n=5)
    with pytest.raises(ValueError, match="n_repeats"):
        metrics.real_vs_real(metrics.frechet_distance, normal(9, 2), n=4, n_repeats=1)
