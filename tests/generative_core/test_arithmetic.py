"""Attributes as directions in codes."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import attribute_vector


def test_what_events_with_an_attribute_have_more_is_found_whatever_else_they_are():
    random = torch.Generator().manual_seed(0)
    attribute = torch.tensor([1.0, 0.0, -2.0])
    others = torch.randn(50, 3, generator=random)
    codes = torch.cat([others, others + attribute])
    order = torch.randperm(100, generator=random)
    has = order >= 50
    assert_close(attribute_vector(codes[order], has), attribute)
    assert_close(attribute_vector(codes[order], ~has), -attribute)
    assert_close(attribute_vector(codes[order] + 7, has), attribute)


@pytest.mark.parametrize("has", [torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)])
def test_an_attribute_needs_both_sides(has):
    with pytest.raises(ValueError, match="of 4 events"):
        attribute_vector(torch.zeros(4, 2), has)
