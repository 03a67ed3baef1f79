"""Benches: speed as a ratio against named baselines, alternated in one run.

A file without a leading underscore is a bench: ``python -m bench NAME``. Its ``run``
takes the number of rounds and returns ``_timing.Result``. What it is compared with lies
in ``baselines/``, one file each.
"""
