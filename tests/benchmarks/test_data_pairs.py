"""Edges of images of which the answer is known."""

import torch

from benchmarks.data import pairs


def step_image() -> torch.Tensor:
    """Black on the left, white from column 4 on."""
    image = torch.full((1, 1, 8, 8), -1.0)
    image[..., 4:] = 1
    return image


def test_edges_of_a_step_are_the_two_columns_beside_it():
    expected = torch.full((1, 1, 8, 8), -1.0)
    expected[..., 3:5] = 1
    assert torch.equal(pairs.edges(step_image()), expected)
    assert torch.equal(pairs.edges(step_image().mT), expected.mT)
    assert torch.equal(pairs.edges(step_image(), threshold=1.01), torch.full((1, 1, 8, 8), -1.0))  # its gradient is 1


def test_a_flat_image_has_no_edges_and_a_sign_does_not_matter():
    x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert (pairs.edges(torch.full((2, 1, 8, 8), 0.3)) == -1).all()
    assert torch.equal(pairs.edges(x, threshold=0.1), pairs.edges(-x, threshold=0.1))
