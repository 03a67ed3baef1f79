"""Heads: what is fitted on the cache. One file per head.

A head is a file in this folder; its name is the file's name. It holds a docstring,
which is its data sheet (source, published number and its protocol), and a class
``Head``, a scikit-learn estimator over views (``contracts.view.View``):

- ``features``: class attribute, the inputs it takes unless others are asked for;
- ``__init__`` only stores keyword arguments; the defaults live there and nowhere
  else. One of them is ``features``, and ``seed`` where anything is drawn;
- ``needs_dev``: class attribute, True if ``fit`` needs development speakers, for
  early stopping say. A head that needs none is fitted on train and dev together;
- ``fit(train, dev)``: learns from labelled views (``view.y``, ``view.classes``,
  ``view.votes``) and returns itself; everything learnt from data is learnt here;
- ``predict_proba(view)``: ``(utterance, class)``, rows sum to 1, columns in the order
  of ``classes_``; ``classes_``: the labels of the label map, all of them;
- ``save(folder)`` and the class method ``load(folder)``: no pickle;
- learnt attributes end in an underscore; ``history_``: one entry per epoch (empty
  without epochs), ``learnt_``: what is worth showing, as JSON (layer weights say),
  ``chosen_``: what was chosen on training speakers, as JSON (the epoch say).

A head also has ``PUBLISHED``, a tuple of ``contracts.published.Published``: where its
network or recipe was reported, with which number and protocol, and what was wrong. A
torch head is a dataclass of its options (``models/_options.py``); one that is bound to
one core says ``single_core = True``, and its folds are fitted side by side.

A head may also have a class method ``fit_jobs(jobs)`` that yields ``(job, fitted
head)``: it is handed all jobs (fold x seed x setting) of an experiment and may fit
them together. Without it they are fitted in turn.

The battery in ``tests/test_models.py`` finds the file and tests it.
"""
