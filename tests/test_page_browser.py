"""The page in a real browser, with the network off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.manifest import Manifest, card
from extract._inspection import inspect_manifest
from report.page import write_page
from tests.runs import make_run
from tests.synthetic import CORPUS, rows

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
    ]
    frame = rows(n_speakers=24)
    frame.loc[3, "id"] = EVIL
    frame.loc[[3, 4], "waveform"] = "same"
    left = [{"path": EVIL, "reason": EVIL, "fault": True}]
    facts = inspect_manifest(Manifest("toy", frame, card(CORPUS, limit=None)), left)
    return write_page(runs, [EVIL], [facts], folder / "page.html")


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
    assert page.locator("details.run").count() == 6
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

    button.click()
    down = [float(x) for x in uars.all_inner_texts()]
    button.click()
    up = [float(x) for x in uars.all_inner_texts()]

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


def test_markup_is_shown_and_not_run(visit: Any) -> None:
    page = visit()
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
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
