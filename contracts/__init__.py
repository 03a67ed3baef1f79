"""What passes through the three doors of the street, and nothing else.

1. ``manifest``: one row per utterance, written by extract, read by all after it.
2. ``cache``: features by waveform and fingerprint, written by extract, read by heads.
3. ``run``: what one model did under one protocol and seed, written by evaluation,
   read by report and serve.

Beside them: ``labels`` (label maps), ``plugins`` (the finder), ``errors`` and
``terminal`` (what every stage says to a person). Nothing here imports a stage.
"""
