"""Evaluation: folds, metrics and the experiment that runs a head over a protocol."""
