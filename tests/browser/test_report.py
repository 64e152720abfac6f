"""The report in a real browser, without a network: light and dark, on a desk and on a phone."""

import re
import shutil

import pytest

from tests.report.test_hostile_files import make_hostile_run
from tests.support.reports import make_run
from tests.support.required import lacking
from wikixlm.report.command import report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = "gpu quic background-networking component-update sync"
ARGUMENTS = ["--no-sandbox", "--no-first-run", *(f"--disable-{what}" for what in QUIET.split())]
SIZES = {"desk": (1280, 900), "phone": (360, 740)}
MISSING = "no chromium on this machine: install it to look at the report in a browser"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        lacking(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    directory = make_run(tmp_path_factory.mktemp("a run"))
    report(directory, None, directory / "report.html", directory / "report")
    return (directory / "report.html").as_uri()


def test_markup_in_the_runs_files_runs_nothing(browser, tmp_path):
    directory = make_hostile_run(tmp_path / "run")
    report(directory, None, directory / "report.html", directory / "report")
    opened = browser.new_page()
    said = []
    opened.on("dialog", lambda dialog: said.append(dialog.message))
    opened.on("console", lambda message: said.append(message.text))
    opened.goto((directory / "report.html").as_uri())
    assert opened.evaluate("document.scripts.length + document.images.length") == 0
    assert opened.title() == "wikixlm: en, de and ka"
    assert "<script>document.title" in opened.inner_text("main")
    assert said == []
    opened.close()


@pytest.fixture(params=[(scheme, size) for scheme in ("light", "dark") for size in SIZES], ids="-".join)
def page(request, browser, address):
    """The report, opened; what it complained about and asked for is in `said` and `asked`."""
    scheme, size = request.param
    width, height = SIZES[size]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    opened = context.new_page()
    opened.said, opened.asked, opened.scheme = [], [], scheme
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda failure: opened.said.append(str(failure)))
    opened.on("request", lambda asked: opened.asked.append(asked.url))
    opened.goto(address)
    yield opened
    context.close()


def contrast(first: str, second: str) -> float:
    """WCAG's ratio of two `rgb(…)` colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_it_says_nothing_and_asks_for_nothing_but_itself(page, address):
    assert page.said == []
    assert [url for url in page.asked if url != "data:,"] == [address]


def test_it_never_scrolls_sideways_as_a_whole(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_wide_tables_scroll_inside_their_box(page):
    wide = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth)"
        ".map(box => getComputedStyle(box).overflowX)"
    )
    assert wide
    assert set(wide) == {"auto"}


def test_tables_that_scroll_say_so_and_only_they(page):
    shown = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(box => [box.scrollWidth > box.clientWidth"
        " || box.scrollHeight > box.clientHeight,"
        " getComputedStyle(box.querySelector('.hint')).visibility == 'visible'])"
    )
    assert any(scrolls for scrolls, _ in shown)
    assert [told for _, told in shown] == [scrolls for scrolls, _ in shown]


def test_keys_break_at_their_separators_only(page):
    broken = page.evaluate(
        """[...document.querySelectorAll('#data td.text, #data tbody th, #cost tbody th')].flatMap(cell => {
            const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
            let last = null, before = '';
            for (let node; node = walker.nextNode();) for (let at = 0; at < node.data.length; at++) {
                const range = document.createRange();
                range.setStart(node, at); range.setEnd(node, at + 1);
                const top = range.getBoundingClientRect().top;
                if (last !== null && top > last + 5 && /[a-zA-Z]/.test(before) && /[a-z]/.test(node.data[at]))
                    found.push(cell.textContent);
                last = top; before = node.data[at];
            }
            return found;
        })"""
    )
    assert broken == []


def test_the_colours_follow_the_scheme_and_are_readable(page):
    colour = "element => getComputedStyle(document.querySelector(element))"
    surface = page.evaluate(f"({colour})('section[id]').backgroundColor")
    page_colour = page.evaluate(f"({colour})('body').backgroundColor")
    assert (contrast(page_colour, "rgb(255, 255, 255)") < 2) == (page.scheme == "light")
    for element in (
        "body",
        ".lead",
        "thead th",
        ".files",
        "a",
        ".answers .short",
        ".answers .good .short",
        "p.missing",
    ):
        for behind in (surface, page_colour):
            assert contrast(page.evaluate(f"({colour})('{element}').color"), behind) >= 4.5, element


def test_the_figures_are_drawn_in_the_colours_and_sizes_of_the_page(page):
    texts = page.evaluate(
        "[...document.querySelectorAll('figure svg text')].map(text => [getComputedStyle(text).fill,"
        " text.getBoundingClientRect().height])"
    )
    assert len(texts) > 100
    surface = page.evaluate("getComputedStyle(document.querySelector('section[id]')).backgroundColor")
    assert min(contrast(fill, surface) for fill, _ in texts) >= 4.5
    assert min(height for _, height in texts) >= 9  # pixels, of a line
    outside = page.evaluate(
        "[...document.querySelectorAll('figure svg')].map(svg => svg.getBoundingClientRect().right)"
        ".filter(right => right > innerWidth).length"
    )
    assert outside == 0


def test_every_link_within_the_page_leads_somewhere(page):
    lost = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(link => link.getAttribute('href'))"
        ".filter(target => !document.querySelector(target))"
    )
    assert lost == []
