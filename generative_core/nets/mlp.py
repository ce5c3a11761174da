"""The multilayer perceptron that every family here uses for vectors."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class MLP(nn.Module):
    """Linear layers with an activation between them; the last layer is linear.

    With `spectral_norm` each weight matrix W is divided by its largest singular value, so that with a 1-Lipschitz
    activation (ReLU, Tanh; SiLU has 1.1) the whole map is 1-Lipschitz.  Paper: Miyato et al. 2018,
    https://arxiv.org/abs/1802.05957.  The value is a power iteration's estimate, refined at each forward in training.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden: Sequence[int] = (256, 256),
        activation: Callable[[], nn.Module] = nn.SiLU,
        spectral_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [in_features, *hidden]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), activation()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(widths[-1], out_features))
        if spectral_norm:
            layers = [parametrizations.spectral_norm(m) if isinstance(m, nn.Linear) else m for m in layers]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "B n_in"]) -> Float[Tensor, "B n_out"]:
        return self.layers(x)
