"""The demo's speakers: eSpeak NG, spoken to through ctypes, the same every time.

eSpeak NG 1.52 comes with ``espeakng-loader`` from PyPI, library and voices. It keeps
state from one utterance to the next (phases, flutter, random numbers) that not even
its ``espeak_Terminate`` clears, so ``synthesise`` loads the library anew for every
utterance, about 10 ms, and unloads it. What is heard then depends on the settings
alone, not on what was spoken before.
"""

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import PluginError

SAMPLING_RATE = 22_050  # Hz, eSpeak NG's own
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # espeak_PARAMETER
LIMITS = {RATE: (80, 400), VOLUME: (10, 110), PITCH: (0, 99), RANGE: (0, 99)}
_SYNCHRONOUS, _DO_NOT_EXIT, _POSITION_CHARACTER, _UTF8 = 2, 0x8000, 1, 1
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Speaker:
    """A synthetic speaker: a voice variant of eSpeak NG and habits.

    Attributes:
        variant: name of the voice variant, such as ``f3``
        rate: words per minute
        pitch: 0 to 99, where 50 is the variant's own
        range: liveliness of the melody, 0 to 99, where 50 is the variant's own
    """

    variant: str
    rate: float
    pitch: float
    range: float


@dataclass(frozen=True)
class Prosody:
    """How an emotion is spoken, relative to the speaker's neutral.

    Attributes:
        rate: factor on the speaker's rate
        pitch: added to the speaker's pitch
        range: factor on the speaker's range
        volume: of eSpeak NG, the same for every speaker
        end: how the sentence ends, ``.``, ``!`` or ``?``
    """

    rate: float
    pitch: float
    range: float
    volume: float
    end: str = "."


SPEAKERS: dict[str, Speaker] = {
    "f01": Speaker("f1", 154, 48, 46),
    "f02": Speaker("f2", 152, 52, 52),
    "f03": Speaker("f3", 158, 50, 44),
    "f04": Speaker("f4", 156, 44, 50),
    "f05": Speaker("f5", 156, 46, 56),
    "f06": Speaker("linda", 142, 42, 48),
    "f07": Speaker("steph", 148, 50, 50),
    "f08": Speaker("anika", 124, 40, 42),
    "f09": Speaker("belinda", 154, 46, 54),
    "f10": Speaker("Alicia", 154, 44, 46),
    "f11": Speaker("Andrea", 126, 40, 50),
    "f12": Speaker("aunty", 148, 46, 58),
    "m01": Speaker("m1", 150, 50, 50),
    "m02": Speaker("m2", 150, 46, 46),
    "m03": Speaker("m3", 152, 52, 54),
    "m04": Speaker("m4", 154, 48, 44),
    "m05": Speaker("m5", 156, 54, 50),
    "m06": Speaker("m6", 148, 44, 56),
    "m07": Speaker("m7", 152, 50, 48),
    "m08": Speaker("m8", 154, 46, 52),
    "m09": Speaker("adam", 150, 52, 46),
    "m10": Speaker("david", 154, 48, 58),
    "m11": Speaker("Alex", 148, 50, 42),
    "m12": Speaker("Lee", 154, 44, 50),
}
PROSODY: dict[str, Prosody] = {
    "neutral": Prosody(1.00, 0, 1.0, 64),
    "calm": Prosody(0.88, -4, 0.8, 52),
    "happy": Prosody(1.10, 12, 1.5, 72, "!"),
    "sad": Prosody(0.80, -10, 0.5, 38),
    "angry": Prosody(1.15, 4, 1.3, 94, "!"),
    "fearful": Prosody(1.22, 18, 0.7, 55),
    "disgust": Prosody(0.82, -6, 1.4, 72),
    "surprised": Prosody(1.05, 18, 1.8, 72, "?"),
}
_VOLUME = PROSODY["neutral"].volume
SENTENCES: dict[str, str] = {
    "kids": "Kids are talking by the door",
    "dogs": "Dogs are sitting by the door",
    "train": "The train is leaving in an hour",
    "letter": "A letter came for you this morning",
}


def perform(
    speaker: Speaker, prosody: Prosody, jitter: np.random.Generator
) -> dict[int, int]:
    """Return eSpeak NG's parameters for one utterance of a speaker in an emotion.

    An actor is neither equally convincing nor equally steady every time: one draw
    says how much of the emotion is played, and each setting is jittered besides, so
    that the emotions overlap.
    """
    played = jitter.uniform(0.65, 1.15)
    volume = _VOLUME * (prosody.volume / _VOLUME) ** played
    wanted = {
        RATE: speaker.rate * prosody.rate**played * jitter.normal(1.0, 0.05),
        PITCH: speaker.pitch + prosody.pitch * played + jitter.normal(0.0, 5.0),
        RANGE: speaker.range * prosody.range**played * jitter.normal(1.0, 0.12),
        VOLUME: volume * jitter.normal(1.0, 0.08),
    }
    return {
        k: round(min(max(v, LIMITS[k][0]), LIMITS[k][1])) for k, v in wanted.items()
    }


def synthesise(
    text: str, variant: str, parameters: dict[int, int], seed: int
) -> NDArray[np.int16]:
    """Speak one sentence.

    Args:
        text: English
        variant: voice variant of eSpeak NG
        parameters: number of the parameter -> value
        seed: of the breath noise, 32 bits

    Returns:
        waveform ``(time,)`` at ``SAMPLING_RATE``, 16 bits

    Raises:
        PluginError: if eSpeak NG is not to be had or refuses
    """
    path, voices = _installed()
    library = ctypes.CDLL(str(path))
    try:
        return _synthesise(library, voices, text, variant, parameters, seed)
    finally:
        _unload(library)


def _installed() -> tuple[Path, Path]:
    try:
        import espeakng_loader
    except ImportError as error:
        msg = (
            "the demo corpus is spoken by eSpeak NG: expected the package "
            "espeakng-loader, got none. Run: pip install espeakng-loader"
        )
        raise PluginError(msg) from error
    return (
        Path(espeakng_loader.get_library_path()),
        Path(espeakng_loader.get_data_path()),
    )


def _synthesise(
    library: Any,
    voices: Path,
    text: str,
    variant: str,
    parameters: dict[int, int],
    seed: int,
) -> NDArray[np.int16]:
    pieces: list[NDArray[np.int16]] = []

    def collect(samples: Any, n: int, _events: Any) -> int:
        if samples and n > 0:
            pieces.append(np.ctypeslib.as_array(samples, (n,)).copy())
        return 0

    callback = _Callback(collect)  # must live until the library is done
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, bytes(voices), _DO_NOT_EXIT)
    library.espeak_SetSynthCallback(callback)
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    failed = library.espeak_SetVoiceByName(f"en-us+{variant}".encode())
    for parameter, value in parameters.items():
        failed |= library.espeak_SetParameter(parameter, value, 0)
    said = text.encode() + b"\0"
    failed |= library.espeak_Synth(
        said, len(said), 0, _POSITION_CHARACTER, 0, _UTF8, None, None
    )
    library.espeak_Synchronize()
    library.espeak_Terminate()
    if rate != SAMPLING_RATE or failed or not pieces:
        msg = (
            f"eSpeak NG does not speak with voice {variant!r}: expected sound at "
            f"{SAMPLING_RATE} Hz, got rate {rate}, error {failed}. Run: "
            "pip install --force-reinstall espeakng-loader"
        )
        raise PluginError(msg)
    return np.concatenate(pieces)


def _unload(library: ctypes.CDLL) -> None:
    """Let go of the library, so that loading it again starts from its first state."""
    import _ctypes

    name = "FreeLibrary" if sys.platform == "win32" else "dlclose"
    getattr(_ctypes, name)(library._handle)
