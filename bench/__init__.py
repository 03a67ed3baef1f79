"""Benches: speed as a ratio against a named baseline, alternated in one run."""
