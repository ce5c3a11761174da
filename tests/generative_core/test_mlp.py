"""The multilayer perceptron: its shape, and the Lipschitz bound of spectral norm."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core.nets.mlp import MLP


def steep(spectral_norm: bool) -> MLP:
    """An MLP with weights far above unit norm."""
    torch.manual_seed(0)
    net = MLP(6, 1, hidden=(32, 32), activation=nn.ReLU, spectral_norm=spectral_norm)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("weight", "original")):
                parameter.mul_(20)
    for _ in range(100):  # the power iteration converges over forwards in training mode
        net(torch.zeros(1, 6))
    return net.eval()


def slopes(net: MLP) -> torch.Tensor:
    x = 3 * torch.randn(500, 6, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    (grad,) = torch.autograd.grad(net(x).sum(), x)
    return grad.norm(dim=1)


def test_spectral_norm_bounds_the_lipschitz_constant():
    assert slopes(steep(spectral_norm=True)).max() <= 1 + 1e-3
    assert slopes(steep(spectral_norm=False)).max() > 10


def test_spectral_norm_keeps_each_layer_at_norm_one_not_below():
    net = steep(spectral_norm=True)
    for layer in net.layers:
        if isinstance(layer, nn.Linear):
            assert_close(torch.linalg.matrix_norm(layer.weight, 2), torch.tensor(1.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("hidden", [(), (8,), (8, 4)])
def test_layers_follow_hidden(hidden):
    net = MLP(3, 2, hidden=hidden, activation=nn.Tanh, dropout=0.5)
    widths = [(m.in_features, m.out_features) for m in net.layers if isinstance(m, nn.Linear)]
    assert widths == list(zip((3, *hidden), (*hidden, 2), strict=True))
    assert sum(isinstance(m, nn.Tanh) for m in net.layers) == len(hidden)
    assert sum(isinstance(m, nn.Dropout) for m in net.layers) == len(hidden)
    assert isinstance(net.layers[-1], nn.Linear)
