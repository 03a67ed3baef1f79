"""The page in a real browser, with the network off."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from contracts.manifest import Manifest, card
from extract._inspection import inspect_manifest
from report._utterances import data_block, pack
from report.page import Asked, write_page
from tests.runs import make_run
from tests.synthetic import CORPUS, rows
from tests.test_page_parts import AUDIT

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EVIL = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"no browser: {CHROMIUM} is not there"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    runs = [make_run(folder, seed=seed) for seed in (0, 1)]
    runs += [
        make_run(folder, model="attention", features=("wav2vec2",), history=True),
        make_run(folder, model="vgg", features=("logmel",), keep=[0]),
        make_run(folder, model="xgb", features=("mfcc",), strength=0.2, untrained=True),
        make_run(
            folder, corpus="evil", features=(EVIL,), labels=(EVIL, "b&b"), n_folds=2
        ),
        make_run(folder, corpus=EVIL, n_folds=2, n_speakers=8, more={"command": EVIL}),
    ]
    frame = rows(n_speakers=24)
    frame.loc[3, "id"] = EVIL
    frame.loc[[3, 4], "waveform"] = "same"
    left = [{"path": EVIL, "reason": EVIL, "fault": True}]
    facts = inspect_manifest(Manifest("toy", frame, card(CORPUS, limit=None)), left)
    for one in runs[0].predictions["id"]:
        sound = folder / "audio" / str(one)
        sound.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(sound, np.sin(np.arange(8_000) / 8), 16_000)
    asked = Asked(audits=[AUDIT], n_audio=6, root=folder / "audio")
    return write_page(runs, [EVIL], [facts], folder / "page.html", asked)


class Visit:
    """A page opened with the network off, and whatever went wrong in it."""

    def __init__(self, browser: Any, file: Path, **context: Any) -> None:
        self.faults: list[str] = []
        self.context = browser.new_context(**context)
        self.context.set_offline(True)
        self.context.set_default_timeout(10_000)  # milliseconds
        self.page = self.context.new_page()
        self.page.on("console", lambda m: self.faults.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.faults.append(f"error: {e}"))
        self.page.on("request", self._request)
        self.page.goto(file.as_uri())

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.faults.append(f"asked for {request.url}")


@pytest.fixture
def visit(browser: Any, page_file: Path) -> Iterator[Any]:
    visits: list[Visit] = []

    def make(**context: Any) -> Any:
        visits.append(Visit(browser, page_file, **context))
        return visits[-1].page

    yield make
    for each in visits:
        each.context.close()
        assert each.faults == []


def models(page: Any) -> list[str]:
    found: list[str] = (
        page.locator("table.results").first.locator("tbody th a").all_inner_texts()
    )
    return found


def test_page_opens_offline_without_faults(visit: Any) -> None:
    page = visit()

    assert "emocache report" in page.title()
    assert page.locator("details.run").count() == 7
    assert page.locator("details.run[open]").count() == 1
    assert page.locator("svg.plot").count() > 6
    assert page.locator("svg.plot:not([role=img][aria-label])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("h1").count() == 1


def test_clicking_a_heading_sorts_and_sorts_back(visit: Any) -> None:
    page = visit()
    button = page.get_by_role("button", name="UAR", exact=True).first
    uars = page.locator("table.results").first.locator("td.uar")
    values = "cells => cells.map(c => Number(c.dataset.v))"

    button.click()
    down = uars.evaluate_all(values)
    button.click()
    up = uars.evaluate_all(values)

    assert down == sorted(down, reverse=True)
    assert up == sorted(up)
    assert down != up


def test_the_keyboard_sorts_and_the_order_is_told(visit: Any) -> None:
    page = visit()
    button = page.get_by_role("button", name="Model", exact=True).first

    button.focus()
    page.keyboard.press("Enter")
    once = models(page)
    page.keyboard.press("Space")

    assert once == sorted(once)
    assert models(page) == once[::-1]
    head = page.locator("table.results").first.locator("th[aria-sort]")
    assert head.get_attribute("aria-sort") == "descending"
    assert "sorted by Model, descending" in page.locator("#live").inner_text()


def test_partial_runs_without_rank_stay_last_when_sorted_by_rank(visit: Any) -> None:
    page = visit()
    button = page.get_by_role("button", name="#", exact=True).first

    for _ in range(2):
        button.click()
        assert models(page)[-1] == "vgg"


@pytest.mark.parametrize("width", [320, 375, 800, 1440])
def test_nothing_scrolls_sideways_with_everything_open(visit: Any, width: int) -> None:
    page = visit(viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_phone_shows_the_score_and_whole_captions(visit: Any) -> None:
    page = visit(viewport={"width": 390, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    score = page.locator("table.results td.uar").first.bounding_box()
    assert score["x"] + score["width"] <= 390
    outside = """() => [...document.querySelectorAll('.scroll caption')]
        .filter(c => c.offsetWidth > c.closest('.scroll').clientWidth)
        .map(c => c.textContent)"""
    assert page.locator(".scroll caption").count() > 10
    assert page.evaluate(outside) == []


def test_a_table_that_goes_on_has_a_shadow_at_its_edge(visit: Any) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs pillow to look at pixels")
    page = visit(viewport={"width": 390, "height": 800})
    box = page.locator(".scroll:has(table.results)").first

    def edges(share: float) -> tuple[float, float]:
        """Return how bright left and right edge are, where nothing is written."""
        box.evaluate("(b, share) => b.scrollLeft = share * b.scrollWidth", share)
        seen = np.asarray(image.open(io.BytesIO(box.screenshot())).convert("L"))
        return float(np.median(seen[:, 1])), float(np.median(seen[:, -2]))

    (first, more), (back, last) = edges(0), edges(1)
    assert more < first - 20
    assert back < last - 20


def test_markup_is_shown_and_not_run(visit: Any) -> None:
    page = visit()
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert page.locator("script:not([type='application/json'])").count() == 1
    assert page.get_by_text(EVIL).count() > 5


def test_dark_mode_applies_and_texts_keep_their_contrast(visit: Any) -> None:
    look = "getComputedStyle(document.body)"
    shades = {}
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme)
        shades[scheme] = [
            sum(map(int, page.evaluate(f"{look}.{what}")[4:-1].split(",")))
            for what in ("backgroundColor", "color")
        ]

    assert shades["light"][0] - shades["light"][1] > 500
    assert shades["dark"][1] - shades["dark"][0] > 500


def test_a_link_in_the_table_opens_its_run(visit: Any) -> None:
    page = visit()

    page.locator("table.results").first.locator("tbody th a").last.click()

    target = page.evaluate("location.hash.slice(1)")
    assert page.locator(f"[id='{target}']").get_attribute("open") is not None


def test_the_skip_link_is_the_first_stop(visit: Any) -> None:
    page = visit()

    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0


def test_print_hides_buttons_and_fits_the_sheet(visit: Any) -> None:
    page = visit(viewport={"width": 700, "height": 1000})
    page.emulate_media(media="print")

    assert not page.locator("#toggle").is_visible()
    assert page.pdf(format="A4")[:4] == b"%PDF"


def cells(page: Any, column: int) -> list[str]:
    found: list[str] = page.locator(
        f"#u-body tr > :nth-child({column})"
    ).all_inner_texts()
    return found


def test_the_table_opens_with_the_surest_errors(visit: Any) -> None:
    page = visit()

    truth, said = cells(page, 3), cells(page, 4)
    sure = [float(x) for x in cells(page, 5)]
    assert len(truth) == 50
    assert all(a != b for a, b in zip(truth, said, strict=True))
    assert sure == sorted(sure, reverse=True)
    assert "of 768 utterances" in page.locator("#u-count").inner_text()


def test_the_table_filters_by_speaker_and_words(visit: Any) -> None:
    page = visit()

    page.get_by_label("Show", exact=True).select_option("all")
    page.get_by_label("Speaker", exact=True).select_option("ravdess/07")
    assert set(cells(page, 2)) == {"ravdess/07"}
    assert page.locator("#u-count").inner_text() == "32 of 768 utterances"
    page.get_by_label("Search", exact=True).fill("SAD 07-")
    assert len(cells(page, 1)) == 4
    assert "4 of 768" in page.locator("#live").inner_text()
    page.get_by_label("Search", exact=True).fill("nothing like it")
    assert cells(page, 1) == []
    assert page.locator("#u-pages").inner_text() == "none"


def test_the_table_sorts_and_turns_its_pages(visit: Any) -> None:
    page = visit()

    page.get_by_label("Show", exact=True).select_option("all")
    page.get_by_role("button", name="Utterance", exact=True).click()
    first = cells(page, 1)
    page.get_by_role("button", name="Next", exact=True).click()
    second = cells(page, 1)
    assert first + second == sorted(first + second)
    assert len({*first, *second}) == 100
    assert page.locator("#u-pages").inner_text() == "51 to 100"
    page.get_by_role("button", name="Back", exact=True).click()
    assert cells(page, 1) == first
    page.get_by_role("button", name="Utterance", exact=True).click()
    assert cells(page, 1)[0] > first[-1]


def test_a_cell_of_the_matrix_lists_its_utterances(visit: Any) -> None:
    page = visit()
    matrix = page.locator("details.run[open] table.confusion")
    cell = matrix.locator("tbody tr:nth-child(3) td:nth-child(5) button")
    n = int(cell.get_attribute("aria-label").split(", ")[-1].split()[0])

    cell.click()

    assert n > 0
    assert page.locator("#u-count").inner_text() == f"{n} of 768 utterances"
    assert set(cells(page, 3)) == {"happy"}
    assert set(cells(page, 4)) == {"sad"}
    assert page.evaluate("document.activeElement.id") == "utterances"


def test_the_keyboard_walks_the_matrix_and_lists_a_cell(visit: Any) -> None:
    page = visit()
    matrix = page.locator("details.run[open] table.confusion")
    assert matrix.locator("button[tabindex='0']").count() == 1

    matrix.locator("button[tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    assert matrix.locator("button[tabindex='0']").count() == 1
    page.keyboard.press("Enter")

    assert page.get_by_label("Truth", exact=True).input_value() == "1"
    assert page.get_by_label("Said", exact=True).input_value() == "0"


def test_counts_are_shown_when_asked_for(visit: Any) -> None:
    page = visit()
    small = page.locator("details.run[open] table.confusion small").first
    assert not small.is_visible()

    page.get_by_role("button", name="Counts", exact=True).first.click()

    assert small.is_visible()


def test_players_play_and_the_table_has_them_too(visit: Any) -> None:
    page = visit()
    heard = page.locator(".heard audio")
    assert heard.count() == 6

    seconds = heard.first.evaluate(
        """async (player) => {
            player.muted = true;
            await player.play();
            return player.duration;
        }"""
    )
    assert seconds == pytest.approx(0.5, abs=0.01)
    page.get_by_label("Show", exact=True).select_option("heard")
    assert page.locator("#u-body audio").count() > 0


def test_choosing_another_run_shows_its_labels(visit: Any) -> None:
    page = visit()
    names = page.get_by_label("Run", exact=True).first.locator("option")
    place = next(i for i, n in enumerate(names.all_inner_texts()) if "evil" in n)

    page.get_by_label("Run", exact=True).first.select_option(str(place))
    page.get_by_label("Show", exact=True).select_option("all")

    assert {*cells(page, 3)} == {EVIL, "b&b"}
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(visit: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe")
    code = Path(axe.__file__).with_name("axe.min.js").read_text("utf-8")
    page = visit(color_scheme=scheme)
    page.get_by_role("button", name="Counts", exact=True).first.click()

    # axe tells no contrast over a gradient, as the shadow at an edge is
    page.add_style_tag(content=".scroll { background: none !important; }")
    page.evaluate(code)
    rules = "" if scheme == "light" else ", runOnly: ['color-contrast']"
    found = page.evaluate(f"axe.run(document, {{resultTypes: ['violations']{rules}}})")

    assert [
        (v["id"], [n["html"][:120] for n in v["nodes"][:3]])
        for v in found["violations"]
    ] == []


@pytest.mark.parametrize("share", [0.63, 0.1])
def test_a_table_that_holds_a_part_says_so(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    runs = [make_run(tmp_path, settings={"c": c}, n_folds=2) for c in (0, 1)]
    whole = len(data_block(pack(runs, {r.run_id: ("", "") for r in runs})))
    monkeypatch.setattr("report.page.BUDGET", int(share * whole))
    seen = Visit(browser, write_page(runs, [], [], tmp_path / "page.html"))
    page = seen.page

    assert "Not everything fits" in page.inner_text("#u-left")
    assert "rounded to whole percents" in page.inner_text("#u-part")
    wrong = page.locator("#u-body tr").first.locator("td")
    assert re.fullmatch(r"\d+", wrong.nth(3).inner_text())
    cell = page.locator("table.confusion td:not(.zero):not(.right) button").first
    named = cell.get_attribute("aria-label")
    cell.click()
    said, n = (
        page.inner_text("#u-count"),
        named.rpartition(" of ")[0].rpartition(" ")[2],
    )
    if share > 0.5:  # every utterance is there, right ones without probabilities
        assert said == f"{n} of 768 utterances"
        page.select_option("#u-truth", "")
        page.select_option("#u-said", "")
        page.select_option("#u-which", "right")
        told = page.locator("#u-body tr").first.locator("td").all_inner_texts()
        assert told[1] == told[2] and told[3:] == ["–", "–", "–"]
    else:
        assert re.search(
            rf" on this page, which are some of 768; the cell counts {n}$", said
        )
        page.select_option("#u-which", "wrong")
        assert "cell counts" not in page.inner_text("#u-count")
    assert seen.faults == []
    seen.context.close()
