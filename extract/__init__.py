"""Extract: the only stage that hears audio. One file per feature.

A feature is a file in this folder; its name is the file's name. It holds

- a docstring, which is its data sheet: what is computed, by which library, source;
- ``load(options)``: takes ``contracts.extraction.Options`` and returns an
  ``Extractor``: something with a ``spec`` (``contracts.feature.FeatureSpec``), a
  ``device`` (text) and a call from a list of waveforms to a list of arrays:
  ``(channel,)`` for a table, ``(layer, frame, channel)`` for frames, float32, each
  waveform mono float32 at 16 kHz, ``(time,)``. The call may return, in place of an
  array, an ``ExtractionError`` that says why there is none for that waveform, or a
  ``contracts.feature.Block`` where it has pooled and cast the numbers itself. What it
  returns for a waveform must not depend on the others. What else it may have
  (``alone``, ``bytes_held``, ``bytes_needed``, ``remarks``) ``Extractor`` says.

Heavy imports stay inside ``load``. The battery in ``tests/test_features.py`` finds the
file and tests it.
"""
