"""The implicit models and the operations on them: an experiment for each system.  `EXPERIMENTS` names them all."""
