"""What a cache holds, for people and for programs."""

from pathlib import Path
from typing import Any

from contracts.cache import Cache, sizes
from contracts.errors import CacheError
from contracts.terminal import table


def contents(folder: Path) -> dict[str, Any]:
    """Collect what a cache holds, as JSON.

    Raises:
        CacheError: if there is no cache
    """
    if not folder.is_dir():
        msg = f"no cache {folder}. Run: python pipeline.py extract"
        raise CacheError(msg)
    cache = Cache(folder)
    return {
        "cache": str(folder),
        "corpora": [_corpus(cache, name) for name in cache.corpora],
        "features": _stores(cache),
    }


def as_text(told: dict[str, Any]) -> str:
    """Lay out ``contents`` for a terminal."""
    corpora = [
        [
            c["corpus"],
            c["utterances"],
            c["variants"] or "",
            c["speakers"],
            f"{c['hours']:.2f}",
            c["problems"],
        ]
        for c in told["corpora"]
    ]
    heads = ["feature", "utterances", "failed", "layers", "channels", "keeps", "dtype"]
    features = [
        [
            *(f[k] for k in ("short", "utterances", "failed", "layers", "channels")),
            *(f["keeps"], f["dtype"], f"{f['bytes'] / 1e6:.1f}", f["encoder"]),
            "untrained" if f["untrained"] else "",
        ]
        for f in told["features"]
    ]
    heads_above = ["corpus", "utterances", "variants", "speakers", "hours", "problems"]
    first = table(heads_above, corpora)
    return f"{first}\n\n{table([*heads, 'MB', 'encoder', ''], features)}"


def _corpus(cache: Cache, name: str) -> dict[str, Any]:
    whole = cache.manifest(name).rows
    rows = whole[whole["variant"] == ""]
    return {
        "corpus": name,
        "utterances": len(rows),
        "variants": len(whole) - len(rows),
        "speakers": len(set(rows["speaker"]) - {""}),
        "hours": float(rows["duration"].sum() / 3600),
        "problems": int((rows["problem"] != "").sum()),
    }


def _stores(cache: Cache) -> list[dict[str, Any]]:
    return [
        {
            "short": s.spec.short,
            "name": s.spec.name,
            "fingerprint": s.spec.fingerprint,
            "encoder": s.spec.encoder,
            "untrained": s.spec.untrained,
            "layers": len(s.spec.layers),
            "channels": s.spec.n_channels,
            "keeps": "table" if s.spec.is_table else s.spec.keeps,
            "dtype": s.spec.dtype,
            "utterances": len(s.places),
            "failed": len(s.failed),
            "bytes": sum(n for _, n in sizes(s.folder.iterdir())),
            "settings": dict(s.spec.settings),
        }
        for s in cache.stores
    ]
