"""The pages of corpora in a real browser, with the network off."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.manifest import Manifest, card
from extract._inspection import inspect_manifest
from report.page import write_page
from tests import test_page_browser
from tests.synthetic import CORPUS, rows

pytestmark = test_page_browser.pytestmark
browser = test_page_browser.browser
EVIL = test_page_browser.EVIL
PAGES = ("corpora", "corpus-toy", "corpus-a_rather_long_name-2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    facts = []
    for i, name in enumerate(("toy", "a_rather_long_name-2", "third", "fourth")):
        rng = np.random.default_rng(i)
        frame = rows(n_speakers=(24, 17, 150, 3)[i], corpus=name)
        frame["duration"] = rng.gamma(3, 0.5 + i, len(frame))
        frame["sampling_rate"] = [8_000.0, 16_000.0, 44_100.0, 48_000.0][i]
        frame["silence"] = rng.random(len(frame))
        frame.loc[0, ["id", "label"]] = [f"{name}/{EVIL}", "a label of many letters"]
        about = card(CORPUS, limit=None)
        facts.append(inspect_manifest(Manifest(name, frame, about), []))
        facts[-1]["near_duplicates"] = {
            "among": ["toy", "third"],
            "n_compared": 96,
            "n_not_compared": 2,
            "groups": [
                {
                    "score": 0.9,
                    "disagree": ["label", "speaker"],
                    "members": [
                        ["toy/" + "very/long/path/" * 9 + ".wav", EVIL, "toy/01"],
                        [f"third/{EVIL}", "sad", "third/some-other-speaker"],
                    ],
                }
            ]
            * 3,
        }
    out = tmp_path_factory.mktemp("pages") / "page.html"
    return write_page([], [], facts, out).parent


@pytest.fixture
def visit(browser: Any, folder: Path) -> Iterator[Callable[..., Any]]:
    visits: list[test_page_browser.Visit] = []

    def make(name: str, **context: Any) -> Any:
        file = folder / (f"page-{name}.html" if name else "page.html")
        visits.append(test_page_browser.Visit(browser, file, **context))
        return visits[-1].page

    yield make
    for each in visits:
        each.context.close()
        assert each.faults == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_offline_and_names_what_it_shows(visit: Any, name: str) -> None:
    page = visit(name)

    assert page.locator("h1").count() == 1
    assert page.locator("svg.plot").count() >= 1
    assert page.locator("svg.plot:not([role=img][aria-label])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator(".scroll:not([role=region][aria-label][tabindex])").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])"
    )
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", [320, 375, 800, 1440])
def test_nothing_scrolls_sideways(visit: Any, width: int) -> None:
    for name in PAGES:
        page = visit(name, viewport={"width": width, "height": 800})
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_one_walks_from_page_to_page(visit: Any) -> None:
    page = visit("")

    page.get_by_role("link", name="toy", exact=True).click()
    assert page.locator("h1").inner_text().startswith("toy")
    page.get_by_role("link", name="Side by side").click()
    assert page.locator("h1").inner_text() == "4 corpora side by side"
    page.get_by_role("link", name="third").last.click()
    page.get_by_role("link", name="Results").click()
    assert "emocache report" in page.title()


@pytest.mark.parametrize("width", [375, 1440])
def test_bars_of_equal_shares_are_equally_long(visit: Any, width: int) -> None:
    page = visit("corpora", viewport={"width": width, "height": 800})

    wide = page.evaluate(
        "[...document.querySelectorAll('section')]"
        ".find(s => s.ariaLabel == 'Sampling rates in Hz')"
        ".querySelectorAll('i')"
        ".values().map(i => Math.round(i.getBoundingClientRect().width)).toArray()"
    )

    full = [w for w in wide if w > 2]
    assert len(full) == 4
    assert min(full) > 40
    assert max(full) - min(full) <= 1
