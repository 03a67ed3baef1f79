"""Corpora: who says what, with which label. One file per corpus.

A corpus is a file in this folder; its name is the file's name. It holds

- a docstring, which is its data sheet: what it is, how files are named, licence;
- ``CORPUS``: a ``contracts.manifest.Corpus``, what the corpus is;
- ``utterances(root)``: yields one ``Utterance`` per labelled stretch of speech and
  one ``Leftover`` per file that becomes none, in an order that is the same on every
  machine. It looks at names and tables, never into audio, and guesses nothing;
- ``EXAMPLES``: relative path -> (speaker, label), documentation and test in one.

The battery in ``tests/test_corpora.py`` finds the file and tests it.
"""
