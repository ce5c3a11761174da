"""How a trained model is judged: minus log p(x) of unseen images, in nats, and how that was estimated."""

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.data import DataSet
from generative_core import AbstractTractable, AbstractVariational
from generative_core.markov_chain.ais import AISEstimate, annealed_importance_sampling, nll
from generative_core.metrics.likelihood import bits_per_dim


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Minus log p(x) of `n` images."""

    nats: float
    """Mean over the images."""
    standard_error: float
    """Of that mean: what another draw of as many images would change, nats."""
    n: int
    estimator: str
    """"exact", or what kind of estimate."""
    more: dict[str, float] = field(default_factory=dict)
    """Further figures of the same images, nats."""

    def as_dict(self, data: DataSet) -> dict[str, Any]:
        """For the JSON; with bits/dim for grey images, whether on their levels or dequantised."""
        found: dict[str, Any] = {"nats": self.nats, "standard_error": self.standard_error, "n": self.n}
        if not data.is_binary:
            levels = data.stored_levels if data.pixels == "dequantised" else None
            mean_log_prob = torch.tensor([-self.nats], dtype=torch.float64)
            found["bits_per_dim"] = bits_per_dim(mean_log_prob, math.prod(data.event_shape), levels=levels).item()
        return found | {"estimator": self.estimator, **self.more}


class Evaluation(Protocol):
    """Both are called without gradients, on a model in evaluation mode."""

    def look(self, model: Any, x: Tensor, *, seed: int) -> float:
        """Cheap: what chooses the best parameters on the validation images, nats, lower is better."""
        ...

    def judge(self, model: Any, x: Tensor, *, seed: int) -> Figures:
        """Thorough: what is reported."""
        ...


@dataclass(frozen=True)
class Exact:
    """log p(x) itself."""

    images_at_a_time: int = 500

    def look(self, model: AbstractTractable, x: Tensor, *, seed: int) -> float:
        return self.judge(model, x, seed=seed).nats

    def judge(self, model: AbstractTractable, x: Tensor, *, seed: int) -> Figures:
        return summary([-model.log_prob(part) for part in x.split(self.images_at_a_time)], "exact")


@dataclass(frozen=True)
class ImportanceWeighted:
    """The bound with k draws of the posterior, which tends to log p(x); looks go by the bound with one draw.

    Most of what images differ in shows with few draws already.  So all images have the bound with `k_for_all`, and the
    `n_with_k`, spread evenly among them, tell the mean difference to the bound with k: an unbiased estimate of the mean
    with k draws for all, whose standard error is hardly larger, in a tenth of the time.

    Paper: Burda et al. 2016, https://arxiv.org/abs/1509.00519.
    """

    k: int = 5000
    k_for_all: int = 100
    n_with_k: int = 500
    images_at_a_time: int = 500
    latents_at_a_time: int = 250
    """Decoded together: more leave the processor's cache, which costs half of the speed again."""

    def look(self, model: AbstractVariational, x: Tensor, *, seed: int) -> float:
        return torch.cat(self._minus_elbo(model, x, seed)).double().mean().item()

    def judge(self, model: Any, x: Tensor, *, seed: int) -> Figures:
        generator = torch.Generator(x.device).manual_seed(seed)
        minus_elbo = torch.cat(self._minus_elbo(model, x, seed)).double().mean().item()
        if len(x) <= self.n_with_k or self.k <= self.k_for_all:
            return summary(self._minus_bound(model, x, self.k, generator), f"IW-{self.k}", minus_elbo=minus_elbo)
        chosen = torch.linspace(0, len(x) - 1, self.n_with_k, device=x.device).long()
        with_few = summary(self._minus_bound(model, x, self.k_for_all, generator), "")
        few_of_chosen = torch.cat(self._minus_bound(model, x[chosen], self.k_for_all, generator))
        k_of_chosen = torch.cat(self._minus_bound(model, x[chosen], self.k, generator))
        difference = summary([k_of_chosen - few_of_chosen], "")
        return Figures(
            nats=with_few.nats + difference.nats,
            standard_error=math.hypot(with_few.standard_error, difference.standard_error),
            n=len(x),
            estimator=f"IW-{self.k} by IW-{self.k_for_all} and {self.n_with_k:,} images",
            more={"minus_elbo": minus_elbo, "difference_standard_error": difference.standard_error},
        )

    def _minus_bound(self, model: Any, x: Tensor, k: int, generator: torch.Generator) -> list[Tensor]:
        chunk = self.latents_at_a_time
        return [-model.iw_bound(part, k, generator=generator, chunk=chunk) for part in x.split(self.images_at_a_time)]

    def _minus_elbo(self, model: AbstractVariational, x: Tensor, seed: int) -> list[Tensor]:
        generator = torch.Generator(x.device).manual_seed(seed)
        return [-model.elbo(part, generator=generator) for part in x.split(self.images_at_a_time)]


@dataclass(frozen=True)
class AnnealedImportance:
    """-log p(x) = energy(x) + log Z, with log Z from annealed chains: an estimate that flatters the model on average.

    Its own standard error is beside it, as `log_z_standard_error`.  Papers: Neal 2001,
    https://arxiv.org/abs/physics/9803008; Salakhutdinov & Murray 2008.
    """

    n_chains: int = 500
    n_temperatures: int = 15_000
    n_chains_look: int = 100
    n_temperatures_look: int = 1_000

    def look(self, model: Any, x: Tensor, *, seed: int) -> float:
        log_z = self._estimate(model, x, self.n_chains_look, self.n_temperatures_look, seed).log_z
        return nll(model, x, log_z).double().mean().item()

    def judge(self, model: Any, x: Tensor, *, seed: int) -> Figures:
        found = self._estimate(model, x, self.n_chains, self.n_temperatures, seed)
        return summary(
            [nll(model, x, found.log_z)],
            f"AIS, {self.n_chains} x {self.n_temperatures:,}",
            log_z=found.log_z,
            log_z_standard_error=found.standard_error,
            effective_sample_size=found.effective_sample_size,
        )

    def _estimate(self, model: Any, x: Tensor, n_chains: int, n_temperatures: int, seed: int) -> AISEstimate:
        generator = torch.Generator(x.device).manual_seed(seed)
        path = model.annealed_path(x)  # from the rates of x: where the chains start does not bias Z
        return annealed_importance_sampling(path, n_chains=n_chains, n_temperatures=n_temperatures, generator=generator)


def summary(parts: list[Tensor], estimator: str, **more: float) -> Figures:
    """The mean and its standard error over the images of all parts, summed in float64."""
    nats = torch.cat(parts).double()
    error = (nats.std() / math.sqrt(len(nats))).item() if len(nats) > 1 else math.nan
    return Figures(nats=nats.mean().item(), standard_error=error, n=len(nats), estimator=estimator, more=more)
