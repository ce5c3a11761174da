"""The convolutional encoder and decoder: sides of any length, in one to three dimensions."""

import pytest
import torch
from torch import nn

from generative_core.nets.conv import ConvDecoder, ConvEncoder
from generative_core.nets.shaped_mlp import ShapedMLP


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 7, 5), (2, 4, 9), (2, 11), (1, 6, 5, 4)])
@pytest.mark.parametrize("context_features", [0, 2])
def test_shapes_in_and_out(shape, context_features):
    torch.manual_seed(0)
    context = torch.randn(3, 2) if context_features else None
    encoder = ConvEncoder(shape, 6, channels=(4, 8), context_features=context_features)
    decoder = ConvDecoder(6, shape, channels=(8, 4), context_features=context_features)
    x = torch.randn(3, *shape)
    code = encoder(x, context)
    assert code.shape == (3, 6)
    out = decoder(code, context)
    assert out.shape == x.shape
    out.square().sum().backward()
    parameters = [*encoder.named_parameters(), *decoder.named_parameters()]
    assert [name for name, p in parameters if not p.grad.any()] == []


def test_every_element_of_the_event_is_seen_and_made():
    """Also the last row of an odd side, which a halving leaves over."""
    torch.manual_seed(0)
    x = torch.randn(1, 1, 7, 7, requires_grad=True)
    encoder, decoder = ConvEncoder((1, 7, 7), 5, channels=(8,)), ConvDecoder(5, (1, 7, 7), channels=(8,))
    (slope,) = torch.autograd.grad(encoder(x).square().sum(), x)
    assert (slope != 0).all()
    z = torch.randn(20, 5)
    assert (decoder(z).std(0) > 0).all()


def test_the_context_changes_the_code_and_the_event():
    torch.manual_seed(0)
    encoder = ConvEncoder((1, 4, 4), 5, channels=(4,), context_features=1)
    decoder = ConvDecoder(5, (1, 4, 4), channels=(4,), context_features=1)
    x, z, low, high = torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), torch.zeros(1, 1), torch.ones(1, 1)
    assert not torch.allclose(encoder(x, low), encoder(x, high))
    assert not torch.allclose(decoder(z, low), decoder(z, high))


def test_norms_follow_every_layer_but_the_outermost_and_take_the_place_of_its_bias():
    encoder = ConvEncoder((1, 16, 16), 2, channels=(4, 6, 8), norm=nn.BatchNorm2d)
    decoder = ConvDecoder(2, (1, 16, 16), channels=(8, 6, 4), norm=nn.BatchNorm2d)
    widths = [[m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d)] for net in (encoder, decoder)]
    assert widths == [[6, 8], [8, 6, 4]]
    biases = [[m.bias is not None for m in net.convolutions if hasattr(m, "stride")] for net in (encoder, decoder)]
    assert biases == [[True, False, False], [False, False, True]]


def test_spectral_norm_bounds_every_layer():
    torch.manual_seed(0)
    encoder = ConvEncoder((1, 4, 4), 2, channels=(4,), spectral_norm=True)
    with torch.no_grad():
        for name, p in encoder.named_parameters():
            if "weight" in name:
                p.mul_(100)
        for _ in range(20):
            encoder(torch.randn(2, 1, 4, 4))
        assert abs(torch.linalg.matrix_norm(encoder.output.weight, 2) - 1) < 0.01
        kernel = encoder.convolutions[0].weight.flatten(1)
        assert abs(torch.linalg.matrix_norm(kernel, 2) - 1) < 0.01


def test_events_that_cannot_be_halved_so_often_are_refused():
    with pytest.raises(ValueError, match=r"sides \(4, 28\): at least one, at most 2; got 3"):
        ConvEncoder((1, 4, 28), 2, channels=(4, 4, 4))
    with pytest.raises(ValueError, match="at least one"):
        ConvDecoder(2, (1, 4, 4), channels=())
    with pytest.raises(ValueError, match=r"need events \(C, T\)"):
        ConvEncoder((5,), 2)


def test_the_shaped_mlp_joins_the_context_and_shapes_its_output():
    torch.manual_seed(0)
    net = ShapedMLP((2, 3), (4, 1), context_features=2, hidden=(8,))
    x, context = torch.randn(5, 2, 3), torch.randn(5, 2)
    out = net(x, context)
    assert out.shape == (5, 4, 1)
    assert torch.equal(out, net.net(torch.cat([x.flatten(1), context], dim=1)).view(5, 4, 1))
