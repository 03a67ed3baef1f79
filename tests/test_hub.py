"""Where an encoder lies: folders, the hub's cache, what is fetched from the hub."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import ExtractionError
from contracts.extraction import Options
from extract import _hub, wav2vec2
from extract._untrained import make_untrained, save_untrained

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache of a hub that cannot be reached."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


def cached(hub: Path) -> Path:
    """Return the folder of some/one in the hub's cache, yet to be filled."""
    folder = hub / "models--some--one"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return folder / "snapshots" / COMMIT


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c"])
def test_a_folder_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ExtractionError, match="expected a folder, got none"):
        wav2vec2.load(Options(encoder=name))


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", [None, "nobody/nothing", "not a name"])
def test_an_encoder_that_cannot_be_had_is_refused_quickly(name: str | None) -> None:
    before = time.monotonic()

    with pytest.raises(ExtractionError, match="--encoder FOLDER") as caught:
        wav2vec2.load(Options(encoder=name))

    assert time.monotonic() - before < 15
    assert repr(name or "facebook/wav2vec2-base") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_encoder_in_the_hubs_cache_needs_no_network(hub: Path) -> None:
    folder = cached(hub)
    save_untrained(folder, seed=5, geometry="demo")

    for revision in (None, COMMIT):
        spec = wav2vec2.load(Options(encoder="some/one", revision=revision)).spec
        assert spec.provenance["encoder"] == "some/one"
        assert spec.provenance["revision"] == COMMIT
    (folder / "preprocessor_config.json").unlink()

    # whether it normalises is no longer known
    with pytest.raises(ExtractionError, match="cannot be had.*pipeline.py untrained"):
        wav2vec2.load(Options(encoder="some/one"))


def test_a_cached_encoder_that_lacks_a_shard_is_asked_for_again(hub: Path) -> None:
    folder = cached(hub)
    save_untrained(folder, geometry="demo")
    (folder / "model.safetensors").unlink()
    make_untrained().save_pretrained(folder, max_shard_size="1MB")
    assert wav2vec2.load(Options(encoder="some/one")).spec.untrained
    sorted(folder.glob("*.safetensors"))[1].unlink()

    with pytest.raises(ExtractionError, match="cannot be had"):
        wav2vec2.load(Options(encoder="some/one"))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ["model.safetensors", "pytorch_model.bin", "model.fp32.safetensors"],
            ["model.safetensors"],
        ),
        (
            [
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.fp32-00001-of-00002.safetensors",
                "flax_model.msgpack",
            ],
            [
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
            ],
        ),
        (
            ["pytorch_model.bin", "tf_model.h5", "model.fp16.safetensors"],
            ["pytorch_model.bin"],
        ),
    ],
)
def test_one_kind_of_weights_is_fetched(
    files: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.utils import filter_repo_objects

    files = [*files, "config.json", "preprocessor_config.json", "README.md"]
    fetched: list[str] = []

    def model_info(*_: Any, **__: Any) -> SimpleNamespace:
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=f) for f in files])

    def snapshot_download(*_: Any, allow_patterns: list[str], **__: Any) -> str:
        fetched.extend(filter_repo_objects(files, allow_patterns=allow_patterns))
        return f"/cache/{COMMIT}"

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: "")

    folder = _hub._fetch("some/one", None)

    assert folder.name == COMMIT
    assert sorted({*fetched} - {"config.json", "preprocessor_config.json"}) == expected
    assert {"config.json", "preprocessor_config.json"} <= {*fetched}
