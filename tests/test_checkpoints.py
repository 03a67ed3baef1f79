"""Somebody else's classifier: exact scores, what its names mean, what it was taught.

The classifiers here have random weights: their scores mean nothing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.cache import Cache
from contracts.errors import CacheError, ExtractionError, ManifestError
from contracts.extraction import Options
from contracts.feature import Block, FeatureSpec
from contracts.labels import LabelMap, load
from evaluation.measures.metrics import score_run
from evaluation.transfer import _label_names, checkpoints
from evaluation.transfer.checkpoints import TRAINED_ON, UNKNOWN
from evaluation.transfer.evaluate_command import EVALUATE
from extract import audio_classifier
from tests.synthetic import LABELS, make_cache, rows
from tests.test_features import speech

NAMES = ("ANG", "Happiness", "neutral", "sadness", "calm")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a small Wav2Vec2ForSequenceClassification with random weights."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
        logging,
    )

    logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("random-classifier")
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=16,
        id2label=dict(enumerate(NAMES)),
        label2id={name: i for i, name in enumerate(NAMES)},
        untrained=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def ready(folder: Path) -> Any:
    return audio_classifier.load(Options(encoder=str(folder), device="cpu"))


def test_scores_are_those_of_transformers(saved: Path) -> None:
    import torch
    from transformers import (
        AutoFeatureExtractor,
        AutoModelForAudioClassification,
    )

    waveforms = speech(0.9, 1.7, 0.5)

    got = ready(saved)(waveforms)

    model = AutoModelForAudioClassification.from_pretrained(saved).eval()
    preparing = AutoFeatureExtractor.from_pretrained(saved)
    for waveform, scores in zip(waveforms, got, strict=True):
        inputs = preparing(waveform, sampling_rate=16_000, return_tensors="pt")
        with torch.no_grad():
            expected = model(**inputs).logits[0].numpy()
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    feature = ready(saved)
    assert feature.spec.channels == NAMES
    assert feature.spec.untrained
    assert feature.spec.is_table


def test_fingerprint_is_of_the_weights_and_not_of_the_folder(
    saved: Path, tmp_path: Path
) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    first = ready(saved).spec.fingerprint
    shutil.copytree(saved, tmp_path / "same")
    assert ready(tmp_path / "same").spec.fingerprint == first
    shutil.copytree(saved, tmp_path / "other")
    path = tmp_path / "other/model.safetensors"
    weights = load_file(path)
    weights["classifier.bias"] = weights["classifier.bias"] + torch.ones(1)
    save_file(weights, path, {"format": "pt"})
    assert ready(tmp_path / "other").spec.fingerprint != first


def test_encoder_without_its_classifier_is_refused(saved: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(saved, tmp_path / "bare")
    path = tmp_path / "bare/model.safetensors"
    kept = {k: v for k, v in load_file(path).items() if "classifier" not in k}
    save_file(kept, path, {"format": "pt"})

    with pytest.raises(ExtractionError, match=r"all weights.*none for classifier.bias"):
        ready(tmp_path / "bare")
    (tmp_path / "bare/preprocessor_config.json").unlink()
    with pytest.raises(ExtractionError, match="expected preprocessor_config.json"):
        ready(tmp_path / "bare")
    with pytest.raises(ExtractionError, match="needs a checkpoint"):
        audio_classifier.load(Options())
    with pytest.raises(ExtractionError, match="takes no --precision float16, --layers"):
        audio_classifier.load(Options("x", layers=(1,), precision="float16"))


def test_names_that_do_not_tell_labels_apart_are_refused(saved: Path) -> None:
    class Config:
        num_labels = 3
        id2label = {0: "a", 1: "b", 2: "a"}  # noqa: RUF012

    with pytest.raises(ExtractionError, match="got a twice"):
        audio_classifier._labels("x", Config)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a cache with scores of a checkpoint that knows the labels well."""
    folder = tmp_path_factory.mktemp("scores") / "cache"
    frame = rows(8, per_label=2)
    made = make_cache(folder, frame, n_layers=1)
    meant = ["angry", "happy", "neutral", "sad", "none"]
    provenance = {"encoder": "someone/random-ser", "untrained": True}
    spec = FeatureSpec("audio_classifier", {"toy": 1}, NAMES, provenance=provenance)
    rng = np.random.default_rng(0)
    blocks = {}
    for key, label in zip(frame["waveform"], frame["label"], strict=True):
        scores = rng.standard_normal(5).astype(np.float32)
        scores[meant.index(label)] += 3
        blocks[key] = Block(scores)
    with made.lock():
        made.store(spec).commit(blocks, {}, "cpu")
    return Cache(folder)


def test_scores_become_a_run(cache: Cache, tmp_path: Path) -> None:
    name = "someone/random-ser"

    run = checkpoints.evaluate(name, cache, ["toy"], tmp_path, "common4")

    assert run.classes == ("angry", "happy", "neutral", "sad")
    rows = run.predictions
    assert len(rows) == 64
    np.testing.assert_allclose(run.probabilities.sum(1), 1)
    scores = cache.view("toy").table("audio_classifier").astype(float)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = shares[:, [0, 1, 2, 3]]
    expected[:, 2] += shares[:, 4]  # calm is neutral in this map
    np.testing.assert_allclose(run.probabilities, expected, rtol=1e-6)
    assert score_run(run).uar > 0.7
    assert run.warnings == ["untrained encoder", UNKNOWN]
    assert run.record["kind"] == "checkpoint"
    assert "ANG is angry" in checkpoints.remarks(run)[0]
    json.dumps(dict(run.record))


def test_emotion_that_the_corpus_lacks_is_left_out_and_said(
    cache: Cache, tmp_path: Path
) -> None:
    run = checkpoints.evaluate("someone/random-ser", cache, ["toy"], tmp_path)

    assert run.classes == LABELS
    assert run.record["checkpoint"]["left_out"] == ["calm"]
    assert any("probabilities of calm" in line for line in checkpoints.remarks(run))


def test_what_is_left_out_first_shifts_no_column() -> None:
    found = _label_names.Names({"joy": "happy", "sadness": "sad"}, ("calm",))
    scores = np.log([[0.5, 0.2, 0.3]])

    told = checkpoints.probabilities(scores, ("calm", "sadness", "joy"), found)

    np.testing.assert_allclose(told, [[0.3, 0.2]])


def test_missing_scores_name_the_command(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(
        CacheError, match="extract .*--feature audio_classifier --encoder someone/else"
    ):
        checkpoints.evaluate("someone/else", cache, ["toy"], tmp_path)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("ANG", "angry"),
        ("Happiness", "happiness"),
        ("生气/angry", "angry"),
        ("  fear ", "fear"),
        ("Sur", "surprised"),
        ("pleasant_surprise", "pleasant surprise"),
    ],
)
def test_names_mean_what_the_rule_says(name: str, label: str) -> None:
    told = _label_names.meaning([name], load("common6"))

    assert told.labels == {name: label}


def test_names_that_mean_nothing_are_all_named(tmp_path: Path) -> None:
    small = LabelMap("small", "", ("happy", "sad"))

    with pytest.raises(ManifestError, match=r"'LABEL_0', 'LABEL_1'.*--labels-from"):
        _label_names.meaning(["LABEL_0", "happy", "LABEL_1"], small)
    with pytest.raises(ManifestError, match="knows none of it"):
        _label_names.meaning(["fear", "calm"], small)
    file = tmp_path / "names.toml"
    file.write_text('[names]\nLABEL_0 = "sad"\nLABEL_1 = ""\n', encoding="utf-8")
    told = _label_names.meaning(["LABEL_0", "happy", "LABEL_1"], small, file)
    assert told.labels == {"LABEL_0": "sad", "happy": "happy"}
    assert told.left_out == ("LABEL_1",)
    file.write_text('[names]\nLABEL_7 = "glad"\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"no 'LABEL_7'; .*not know 'glad'"):
        _label_names.meaning(["LABEL_0"], small, file)
    file.write_text("LABEL_0 = 1\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"expected one table \[names\]"):
        _label_names.meaning(["LABEL_0"], small, file)


@pytest.mark.parametrize(
    ("name", "plugin", "said", "warned"),
    [
        ("Wiam/wav2vec2-base-finetuned-ravdess", "ravdess", "the test corpus", True),
        ("/x/wav2vec2-base-finetuned-ravdess/", "ravdess", "the test corpus", True),
        ("superb/hubert-base-superb-er", "ravdess", "trained on iemocap", False),
        ("me/my-emodb-model", "emodb", "the test corpus toy (its name)", True),
        ("me/model", "emodb", UNKNOWN, False),
    ],
)
def test_training_data_are_said_where_they_are_known(
    cache: Cache,
    capsys: pytest.CaptureFixture[str],
    name: str,
    plugin: str,
    said: str,
    warned: bool,
) -> None:
    view = cache.view("toy")
    cards: Any = {"toy": dict(view.cards["toy"]) | {"plugin": plugin}}
    object.__setattr__(view, "cards", cards)

    assert said in checkpoints.cautions(name, view)
    assert ("may have heard every test speaker" in capsys.readouterr().err) is warned


def test_every_entry_of_the_table_names_corpora_that_there_are() -> None:
    from contracts import plugins

    known = plugins.names("corpora")
    for corpora, source in TRAINED_ON.values():
        assert source
        assert set(corpora) <= set(known)


def test_command_asks_for_one_thing(
    cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jsonargparse import ArgumentParser

    from contracts.errors import EmocacheError

    parser = ArgumentParser()
    EVALUATE.add_arguments(parser)
    where = ["--cache", str(cache.folder), "--runs", str(tmp_path)]
    words = ["--checkpoint", "someone/random-ser", *where]

    assert EVALUATE.run(parser.parse_args(words)) == 0

    said = capsys.readouterr().out
    assert "UAR 0." in said
    assert "[untrained encoder]" in said
    for wrong, match in (
        ([], "got neither"),
        (["a-run", "--checkpoint", "x"], "got both"),
        (["--checkpoint", "x", "--fold", "0"], "--fold cannot be asked"),
        (["a-run", "--labels-from", "x"], "--labels-from cannot be asked of a run"),
    ):
        with pytest.raises(EmocacheError, match=match):
            EVALUATE.run(parser.parse_args([*wrong, *where]))
