"""Variants: a waveform made from another one. One file per way of making it.

A variant is a file in this folder; its name is the file's name. It holds

- a docstring, which is its data sheet: what is done, by what, with which numbers;
- ``VERSION``: raised whenever the numbers change;
- ``LIBRARIES``: packages whose version changes the numbers; ``EXTRA``: the extra of
  setup.cfg that brings them, empty where they are always there;
- ``PARAMETER``: what may stand behind its name (``noise-10dB``), as people read it;
  empty: nothing may;
- ``UNCHANGED``: the level of that which leaves sound as it was; infinite: the higher it
  is, the less is done; NaN: there is no level;
- ``draw(parameter, rng)``: the numbers of one variant, from what stands behind its
  name or, where that is empty, drawn;
- ``make(waveform, drawn, rng)``: ``(time,)`` mono float32 at 16 kHz to the same;
- ``pace(drawn)``: how many times longer it becomes.

The battery in ``tests/test_variants.py`` finds the file and tests it. What a variant
may be used for is decided where it is asked for: ``extract --augment`` for training
alone, ``extract --degrade`` for testing alone; see ``contracts/variant.py``.
"""
