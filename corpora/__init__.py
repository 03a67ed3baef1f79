"""Corpora: who says what, with which label. One file per corpus.

A corpus is a file in this folder; its name is the file's name. It holds

- a docstring, which is its data sheet: what it is, how files are named, licence;
- ``CORPUS``: a ``contracts.manifest.Corpus``, what the corpus is;
- ``utterances(root)``: yields one ``Utterance`` per labelled stretch of speech and
  one ``Leftover`` per file that becomes none, in an order that is the same on every
  machine. It looks at names and tables, never into audio, and guesses nothing;
- ``EXAMPLES``: relative path -> (speaker, label), documentation and test in one;
  empty where annotation files tell more than names;
- ``read_name(path)``, where a file's name tells everything: reads one file from it,
  without touching the disk; lists that name no speakers use it. Where annotation
  files tell more than names, ``claims(path)`` says instead whether a file is surely of
  this corpus, by its name alone.

An importer reads a layout, whatever the corpus. It has ``EXAMPLES = {}`` and
``recognises(root)``, which is cheap, never raises and looks at names and heads alone.
Any plug-in may have ``describe(root)``, which stands for ``CORPUS`` in the manifest.

The battery in ``tests/test_corpora.py`` finds the file and tests it.
"""
