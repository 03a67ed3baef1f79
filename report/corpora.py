"""Pages of corpora: one for each, and one with all of them side by side."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from report._corpus_plots import corpus_view
from report._html import write_html
from report._side_by_side import side_by_side

N_NEAR = 500  # groups of near-duplicates on a page
_STRANGE = re.compile(r"[^\w.-]")


def write_corpora(
    inspections: Sequence[Mapping[str, Any]], out: Path
) -> dict[str, Any]:
    """Write the pages of corpora beside a page: ``NAME-corpus-CORPUS.html``.

    All side by side are in ``NAME-corpora.html``, where there are two or more.

    Args:
        inspections: as ``inspect_manifest`` returns them
        out: the page that links to them

    Returns:
        what that page needs for it: ``corpus_pages`` and ``together``
    """
    facts = sorted(inspections, key=lambda f: str(f["corpus"]))
    names = [_file_name(out, f"corpus-{f['corpus']}") for f in facts]
    pages = [
        {
            **{k: f[k] for k in ("corpus", "n_utterances", "n_speakers", "hours")},
            "n_labels": sum(1 for label, n in f["label_counts"].items() if label and n),
            "licence": f["licence"],
            "href": quote(name),
        }
        for f, name in zip(facts, names, strict=True)
    ]
    beside = _file_name(out, "corpora")
    links: dict[str, Any] = {
        "main_page": quote(out.name),
        "corpus_pages": pages,
        "together": quote(beside) if len(facts) > 1 else "",
    }
    for each, name in zip(facts, names, strict=True):
        write_html(
            "corpus.html.j2",
            out.with_name(name),
            c=corpus_view(each),
            near=_near([each]),
            here=quote(name),
            **links,
        )
    if len(facts) > 1:
        write_html(
            "corpora.html.j2",
            out.with_name(beside),
            near=_near(facts),
            here=quote(beside),
            **side_by_side(facts),
            **links,
        )
    return {key: links[key] for key in ("corpus_pages", "together")}


def _file_name(out: Path, what: str) -> str:
    """Name a page beside another; what cannot stand in a name becomes a low line."""
    return f"{out.stem}-{_STRANGE.sub('_', what)}.html"


def _near(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Join the near-duplicates of corpora; None where none were looked for."""
    looked = [f["near_duplicates"] for f in facts if f.get("near_duplicates")]
    if not looked:
        return None
    groups = {tuple(m[0] for m in g["members"]): g for n in looked for g in n["groups"]}
    order = sorted(groups.values(), key=lambda g: (-len(g["disagree"]), -g["score"]))
    largest = max(looked, key=lambda n: int(n["n_compared"]))
    return {
        "among": sorted({name for n in looked for name in n["among"]}),
        "n_compared": largest["n_compared"],
        "n_not_compared": largest["n_not_compared"],
        "groups": order,
        "shown": order[:N_NEAR],
        "n_disagree": sum(1 for g in order if g["disagree"]),
    }
