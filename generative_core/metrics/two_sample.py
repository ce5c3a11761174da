"""Metrics that train a classifier of scikit-learn: can it tell the samples from the data, and learn from them?"""

import copy
import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from generative_core.metrics.distances import pair_of_rows


@runtime_checkable
class Classifier(Protocol):
    """Any classifier of scikit-learn."""

    def fit(self, X: Any, y: Any) -> Any: ...
    def predict(self, X: Any) -> Any: ...


class TwoSampleTest(NamedTuple):
    """The result of `c2st`."""

    accuracy: float
    """On rows that the classifier has not seen, in [0, 1]: 0.5 where it cannot tell, 1 where it always can."""
    p_value: float
    """Chance of such an accuracy or a higher one if the two laws were equal (normal approximation)."""


def c2st(
    x: Float[Tensor, "n *E"],
    y: Float[Tensor, "m *E"],
    *,
    classifier: Classifier | None = None,
    n_folds: int = 5,
    seed: int = 0,
) -> TwoSampleTest:
    """Classifier two-sample test: cross-validated accuracy of telling x from y; 0.5 is ideal.

    The default classifier is a perceptron with two hidden layers of 64 on standardised columns, stopped early; any
    of scikit-learn's may be given, and is copied for each fold.  A test is as sharp as its classifier: 0.5 from a
    linear one says only that no plane parts the sets.  Raises ValueError where the sides differ in size (chance would
    not be 0.5) or have fewer rows than folds.

    Paper: Lopez-Paz & Oquab 2017, https://arxiv.org/abs/1610.06545.  Differs: all rows are tested, by cross-validation.
    """
    from sklearn.model_selection import StratifiedKFold

    if len(x) != len(y):
        raise ValueError(f"c2st needs two sides of one size, got {len(x)} and {len(y)} rows; cut the longer one")
    if not 2 <= n_folds <= len(x):
        raise ValueError(f"n_folds must be between 2 and the rows of a side, {len(x)}; got {n_folds}")
    rows = np.concatenate([side.cpu().numpy() for side in pair_of_rows(x, y)])
    is_x = np.arange(len(rows)) < len(x)
    n_right = 0
    for train, test in StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, is_x):
        fitted = _small_mlp(seed) if classifier is None else copy.deepcopy(classifier)
        fitted.fit(rows[train], is_x[train])
        n_right += int(np.sum(fitted.predict(rows[test]) == is_x[test]))
    accuracy = n_right / len(rows)
    deviations = (accuracy - 0.5) * 2 * math.sqrt(len(rows))  # Binomial(N, 1/2) / N has the std 1 / (2 sqrt N)
    return TwoSampleTest(accuracy, 0.5 * math.erfc(deviations / math.sqrt(2)))


def tstr(
    x_model: Float[Tensor, "n *E"],
    labels_model: Int[Tensor, "n"],
    x_real: Float[Tensor, "m *E"],
    labels_real: Int[Tensor, "m"],
    *,
    classifier: Classifier | None = None,
) -> float:
    """Train on synthetic, test on real: accuracy on real events of a classifier that has seen only the model's.

    Its ceiling is the same classifier trained on as many real events.  The default is logistic regression on
    standardised columns; `train_judge` and `accuracy` of the judges do the same with a network.

    Paper: Esteban et al. 2017, https://arxiv.org/abs/1706.02633, sec. 4.
    """
    rows_model, rows_real = (side.cpu().numpy() for side in pair_of_rows(x_model, x_real))
    fitted = _logistic_regression() if classifier is None else copy.deepcopy(classifier)
    fitted.fit(rows_model, labels_model.cpu().numpy())
    return float(np.mean(fitted.predict(rows_real) == labels_real.cpu().numpy()))


def _small_mlp(seed: int) -> Classifier:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    mlp = MLPClassifier((64, 64), early_stopping=True, max_iter=1000, random_state=seed)
    return make_pipeline(StandardScaler(), mlp)


def _logistic_regression() -> Classifier:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
