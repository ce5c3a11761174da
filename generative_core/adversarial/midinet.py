"""The GAN that makes a melody bar by bar."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import leaky_relu
from generative_core.families import AbstractCritic, AbstractGAN, AbstractGenerator, Terms
from generative_core.nets.conv import ConvEncoder, with_planes


@final
class MidiNet(AbstractGAN):
    """x = G(z, previous bar, chord): a convolutional GAN of bars, with a conditioner network on the bar before.

    A bar (P, T) is a one-hot pitch for each of T steps, T divisible by 8.  A batch is (x, context), the context as
    `bar_context` joins it: the previous bar, all zeros before the first, and the code of the chord, which in the paper
    has 13 numbers: the root and whether it is minor.  Every filter spans all pitches, so that bars are signals over
    time with a channel for each pitch.  The conditioner's maps stand beside the generator's of the same length, the
    chord beside both.  Beside -log D the generator minimises the squared distances between the mean bars and between
    the mean maps of the critic's first layer:

        match_bars ||E x - E G||^2 + match_maps ||E f(x) - E f(G)||^2

    `sample` takes the likeliest pitch of each step, with the gradient of the softmax; `compose` hands each bar on to
    the next.  Raises ValueError for events that are no bars, and for a context that is missing or of another width.

    Paper: Yang et al. 2017, https://arxiv.org/abs/1703.10847, sec. 3; feature matching: Salimans et al. 2016,
    https://arxiv.org/abs/1606.03498, sec. 3.1.  Differs: a softmax over the pitches, of which one sounds at a time,
    and its straight-through likeliest in training too, since a critic tells the data's ones and zeros from anything
    between; the critic sees the previous bar, without which nothing tells the generator to go on from it.
    """

    critic: "_BarCritic"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        chord_features: int = 13,
        latent: int = 100,
        channels: int = 128,
        match_bars: float = 1.0,
        match_maps: float = 0.1,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        if len(self.event_shape) != 2 or self.event_shape[1] % 8:
            raise ValueError(f"MidiNet makes bars (pitches, steps), steps divisible by 8, got {self.event_shape}")
        self.chord_features = chord_features
        self.match_bars, self.match_maps = match_bars, match_maps
        self.generator = _BarGenerator(self.event_shape, chord_features, latent, channels)
        self.critic = _BarCritic(self.event_shape, chord_features, channels)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy, both sides with the same contexts."""
        x, context = batch
        logits = self.critic.logit(x, context), self.critic.logit(drawn, context)
        return {"adversarial": objectives.bce_critic_loss(*logits)}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D and the two distances of means."""
        x, context = batch
        with torch.no_grad():
            target = self.critic.first_maps(x, context)
        maps = self.critic.first_maps(drawn, context)
        return {
            "adversarial": objectives.bce_generator_loss(self.critic.logit(drawn, context)),
            "bars": self.match_bars * (x.mean(0) - drawn.mean(0)).square().sum(),
            "maps": self.match_maps * (target.mean(0) - maps.mean(0)).square().sum(),
        }

    @torch.no_grad()
    def compose(
        self, chords: Float[Tensor, "n bars K"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n bars P T"]:
        """Melodies over these chords: each bar is a draw after the bar before it, the first after zeros."""
        bar = chords.new_zeros(len(chords), *self.event_shape)
        bars = []
        for chord in chords.unbind(1):
            bar = self.generator.sample(len(chord), bar_context(bar, chord), generator=generator)
            bars.append(bar)
        return torch.stack(bars, dim=1)


def bar_context(previous: Float[Tensor, "B P T"], chord: Float[Tensor, "B K"]) -> Float[Tensor, "B K+P*T"]:
    """What both players of a `MidiNet` read beside a bar."""
    return torch.cat([chord, previous.flatten(1)], dim=1)


def _split(
    context: Tensor | None, event_shape: tuple[int, ...], chord_features: int
) -> tuple[Float[Tensor, "B P T"], Float[Tensor, "B K"]]:
    """(previous bar, chord)."""
    width = chord_features + event_shape[0] * event_shape[1]
    got = None if context is None else tuple(context.shape[1:])
    if context is None or got != (width,):
        raise ValueError(f"MidiNet was built for contexts of {width} features, got {got}: join them with bar_context")
    return context[:, chord_features:].unflatten(1, event_shape), context[:, :chord_features]


class _BarGenerator(AbstractGenerator):
    """Dense from (z, chord) to an eighth of the steps, then three doublings beside the conditioner's maps."""

    def __init__(self, event_shape: tuple[int, ...], chord_features: int, latent: int, channels: int) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.chord_features = chord_features
        self.latent_features = latent
        n_pitches, n_steps = event_shape
        self.first_shape = (channels, n_steps // 8)
        n_first = channels * n_steps // 8
        dense = nn.Linear(latent + chord_features, n_first, bias=False)
        self.input = nn.Sequential(dense, nn.BatchNorm1d(n_first), nn.ReLU())
        n_conditions = channels // 4
        kernels = [(n_pitches, 1), *[(n_conditions, 2)] * 3]  # the first keeps the length, each other halves it
        self.conditioner = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(n_in, n_conditions, k, stride=k, bias=False), nn.BatchNorm1d(n_conditions), leaky_relu()
            )
            for n_in, k in kernels
        )
        n_in = channels + n_conditions + chord_features
        self.doublings = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose1d(n_in, channels, 2, stride=2, bias=False), nn.BatchNorm1d(channels), nn.ReLU()
            )
            for _ in range(3)
        )
        self.output = nn.Conv1d(n_in, n_pitches, 1)

    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n K"] | None = None) -> Float[Tensor, "n P T"]:
        """The likeliest pitch of each step, one-hot; gradients go to all probabilities (straight through)."""
        condition, chord = _split(context, self.event_shape, self.chord_features)
        conditions = []
        for layer in self.conditioner:
            condition = layer(condition)
            conditions.append(condition)
        maps = self.input(torch.cat([z, chord], dim=1)).unflatten(1, self.first_shape)  # (n, C T/8) -> (n, C, T/8)
        for layer in self.doublings:
            maps = layer(with_planes(torch.cat([maps, conditions.pop()], dim=1), chord))
        probabilities = self.output(with_planes(torch.cat([maps, conditions.pop()], dim=1), chord)).softmax(dim=1)
        likeliest = torch.zeros_like(probabilities).scatter_(1, probabilities.argmax(1, keepdim=True), 1.0)
        return likeliest + (probabilities - probabilities.detach())


class _BarCritic(AbstractCritic):
    """Strided convolutions over the bar and the one before it, side by side, with the chord."""

    def __init__(self, event_shape: tuple[int, ...], chord_features: int, channels: int) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.chord_features = chord_features
        n_pitches, n_steps = event_shape
        self.encoder = ConvEncoder(
            (2 * n_pitches, n_steps),
            1,
            channels=(channels, 2 * channels),
            context_features=chord_features,
            activation=leaky_relu,
        )

    def first_maps(self, x: Float[Tensor, "B P T"], context: Float[Tensor, "B K"] | None = None) -> Tensor:
        """After the first convolution: for feature matching."""
        pair, chord = self._pair(x, context)
        return self.encoder.convolutions[:2](with_planes(pair, chord))

    def logit(self, x: Float[Tensor, "B P T"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like a bar of the data, after that bar and over that chord."""
        return self.encoder(*self._pair(x, context)).squeeze(1)

    def _pair(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        previous, chord = _split(context, self.event_shape, self.chord_features)
        return torch.cat([x, previous], dim=1), chord
