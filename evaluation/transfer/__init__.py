"""Fitted elsewhere: other corpora, their matrix, others' checkpoints."""
