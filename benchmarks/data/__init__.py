"""Data sets of the benchmarks.  `load(name)` is the one door; `CATALOGUE` says what there is."""

from benchmarks.data.catalogue import CATALOGUE, Card, Rows, Split
from benchmarks.data.dataset import DataSet, EventBatches, load
from benchmarks.data.pixels import Pixels

__all__ = ["CATALOGUE", "Card", "DataSet", "EventBatches", "Pixels", "Rows", "Split", "load"]
