"""Tests: a mirror of the modules, and one battery per plug-in folder."""
