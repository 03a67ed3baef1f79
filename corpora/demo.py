"""Demo: eight emotions by 24 synthetic speakers, spoken here and now, no download.

eSpeak NG speaks four short English sentences with 12 female and 12 male voices in the
emotions of RAVDESS: 384 utterances of 1.2 to 2.5 s, 22.05 kHz, 16 bits, FLAC. An
emotion is a setting of rate, pitch, melody and loudness (``PROSODY`` in
``corpora/_speak.py``), played more or less and jittered, so that the emotions overlap:
a random forest on eGeMAPS reaches a UAR of about 0.59 on speakers it has not heard
(chance is 0.125). It shows that the street works; it says nothing about people.

Files are named ``demo-<speaker>-<emotion>-<sentence>-<take>.flac``. Make them with
``python pipeline.py speak``: the same on every run, about 10 s. Licence: eSpeak NG
is a tool under GPL 3; the audio it generates is free of it.
"""

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._files import walk
from corpora._speak import (
    PROSODY,
    SAMPLING_RATE,
    SENTENCES,
    SPEAKERS,
    perform,
    synthesise,
)

LABELS = tuple(PROSODY)
TAKES = (1, 2)
CORPUS = Corpus(
    title="Demo: synthetic speech by eSpeak NG",
    language="en",
    labels=LABELS,
    licence="generated audio, free to use (the tool, eSpeak NG, is GPL-3.0)",
    url="https://github.com/espeak-ng/espeak-ng",
    citation="eSpeak NG text-to-speech, https://github.com/espeak-ng/espeak-ng",
    n_utterances=len(SPEAKERS) * len(LABELS) * len(TAKES),
    n_speakers=len(SPEAKERS),
    label_map="ravdess8",
    protocol="speakers-5fold",
    label_counts=dict.fromkeys(LABELS, len(SPEAKERS) * len(TAKES)),
)
EXAMPLES = {
    "demo-f01-neutral-dogs-1.flac": ("f01", "neutral"),
    "demo-m12-surprised-kids-2.flac": ("m12", "surprised"),
    "anywhere/demo-f07-angry-letter-1.WAV": ("f07", "angry"),
}
_NAME = re.compile(r"demo-(\w+)-(\w+)-(\w+)-(\d+)", re.ASCII)


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    for item in walk(root):
        yield item if isinstance(item, Leftover) else _parse(item)


def _parse(path: Path) -> Utterance | Leftover:
    """Read one file name."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        shape = "demo-<speaker>-<emotion>-<sentence>-<take>"
        return Leftover(path, f"unknown name: expected {shape}, got {path.stem!r}")
    speaker, label, sentence, take = match.groups()
    for field, got, known in (
        ("speaker", speaker, list(SPEAKERS)),
        ("emotion", label, list(LABELS)),
        ("sentence", sentence, list(SENTENCES)),
    ):
        if got not in known:
            return Leftover(
                path, f"unknown {field}: expected one of {known}, got {got!r}"
            )
    return Utterance(
        path,
        speaker=speaker,
        label=label,
        sex="female" if speaker.startswith("f") else "male",
        sentence=sentence,
        text=SENTENCES[sentence],
        traits={"take": take},
        name=path.stem,
    )


def names() -> list[str]:
    """List the file names of the whole corpus; each emotion says each sentence."""
    said = list(SENTENCES)
    return [
        f"demo-{speaker}-{label}-{said[(i + j + 2 * take) % len(said)]}-{take}.flac"
        for i, speaker in enumerate(SPEAKERS)
        for j, label in enumerate(LABELS)
        for take in TAKES
    ]


def speak(root: Path) -> int:
    """Speak the files of the corpus that are not there yet.

    Args:
        root: folder to speak into, made if it is not there

    Returns:
        how many files were spoken

    Raises:
        PluginError: if eSpeak NG is not installed
    """
    from contracts.terminal import progress

    root.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names() if not (root / name).exists()]
    with progress("speak", len(missing), "utterances") as advance:
        for name in missing:
            _speak_one(root / name)
            advance(note=name)
    return len(missing)


def _speak_one(path: Path) -> None:
    """Speak one file, whole or not at all; its name says all of it."""
    import numpy as np
    import soundfile

    _, speaker, label, sentence, _ = path.stem.split("-")
    voice, prosody = SPEAKERS[speaker], PROSODY[label]
    seed = zlib.crc32(path.stem.encode()) & 0x7FFFFFFF
    parameters = perform(voice, prosody, np.random.default_rng(seed))
    text = SENTENCES[sentence] + prosody.end
    waveform = synthesise(text, voice.variant, parameters, seed)
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    soundfile.write(aside, waveform, SAMPLING_RATE, "PCM_16", format="FLAC")
    aside.replace(path)
