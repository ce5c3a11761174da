"""What the papers report, each with its source: the only place of numbers that are not ours."""

from typing import Any, NamedTuple


class Published(NamedTuple):
    """Minus log p(x) on the test images of MNIST, nats, lower is better."""

    nats: float
    binarisation: str
    """"fixed": one binary version of the data for ever; "dynamic": drawn anew each time.  They do not compare."""
    side: int
    about: str
    """What was measured, and how where it is not exact."""
    source: str


# The papers' fixed binarisation is one draw, that of Salakhutdinov & Murray 2008; ours is another draw of the same law.
PUBLISHED: dict[str, Published] = {
    "fvsbn": Published(
        97.45, "fixed", 28, "FVSBN", "Larochelle & Murray 2011, 'The Neural Autoregressive Distribution Estimator'"
    ),
    "nade": Published(88.33, "fixed", 28, "NADE, 500 units", "Germain et al. 2015, https://arxiv.org/abs/1502.03509"),
    "made": Published(
        88.40, "fixed", 28, "MADE, 1 layer, 1 mask", "Germain et al. 2015, https://arxiv.org/abs/1502.03509"
    ),
    "made-masks": Published(
        86.64, "fixed", 28, "MADE, 2 layers, 32 masks", "Germain et al. 2015, https://arxiv.org/abs/1502.03509"
    ),
    "rbm": Published(
        86.34,
        "fixed",
        28,
        "RBM, 500 units, CD-25, AIS",
        "Salakhutdinov & Murray 2008, 'On the quantitative analysis of DBNs'",
    ),
    "vae": Published(
        86.76, "dynamic", 28, "VAE, 1 layer, IW-5000", "Burda et al. 2016, https://arxiv.org/abs/1509.00519, table 1"
    ),
    "iaf-vae": Published(
        79.10,
        "dynamic",
        28,
        "convolutional ResNet VAE with IAF",
        "Kingma et al. 2016, https://arxiv.org/abs/1606.04934",
    ),
    "pixelcnn": Published(81.30, "fixed", 28, "PixelCNN", "van den Oord et al. 2016, https://arxiv.org/abs/1601.06759"),
    "row-lstm": Published(80.54, "fixed", 28, "Row LSTM", "van den Oord et al. 2016, https://arxiv.org/abs/1601.06759"),
    "diagonal-bilstm": Published(
        79.20, "fixed", 28, "Diagonal BiLSTM, 7 layers", "van den Oord et al. 2016, https://arxiv.org/abs/1601.06759"
    ),
}


def of_paper(result: dict[str, Any]) -> Published | None:
    """The paper's figure for this model where it measured the same thing: same images, same binarisation."""
    published = PUBLISHED.get(result["model"])
    data = result["data"]
    found = (data["name"], data["pixels"], data["event_shape"][-1])
    return published if published is not None and found == ("mnist", published.binarisation, published.side) else None
