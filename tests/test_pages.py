"""The built book in a headless browser: what a reader without Python and network gets.

`make book` comes first. Without chromium these tests are skipped, loudly, unless
QUEEN_REQUIRE_BROWSER=1 says that a skip is a failure.
"""

import functools
import http.server
import json
import os
import shutil
import threading
import time
import tomllib
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.book

ROOT = Path(__file__).parent.parent
HTML = ROOT / "_build" / "html"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --window-size=1280,1000"
).split()

# Everything a page draws by script: figures, equations, widgets.
SETTLED = """
if (document.readyState !== 'complete') return false;
const drawn = (el) => el.querySelector('.main-svg') !== null;
if (![...document.querySelectorAll('.plotly-graph-div')].every(drawn)) return false;
if (document.querySelector('.math') && !document.querySelector('mjx-container')) return false;
const views = 'script[type="application/vnd.jupyter.widget-view+json"]';
return !document.querySelector(views) || document.querySelector('.jupyter-widgets') !== null;
"""

# What a figure shows, without its controls: moving a slider's own knob is not a change.
DRAWN = """
return [...arguments[0].querySelectorAll('.main-svg')].map((svg) => {
  const copy = svg.cloneNode(true);
  copy.querySelectorAll('.slider-container, .updatemenu-container').forEach((e) => e.remove());
  return copy.innerHTML;
}).join('');
"""


def toc_pages() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def origin():
    """Where the built book is served."""
    if not (HTML / "index.html").is_file():
        pytest.fail("no _build/html: run make book first")
    handler = functools.partial(QuietHandler, directory=HTML)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        message = "NO CHROMIUM: the built pages are not tested (apt install chromium-driver)"
        if os.environ.get("QUEEN_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Naming the driver keeps selenium from asking the network for one.
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield window
    window.quit()


def open_page(browser, url: str) -> None:
    # What the page before, or the browser's own first page, still asks for is not this page's.
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.set_window_size(1280, 1000)
    browser.get(url)
    wait_until(lambda: browser.execute_script(SETTLED), f"{url} did not draw everything")


def wait_until(condition, message: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, message
        time.sleep(0.05)


def requested(browser) -> list[str]:
    """The addresses the page asked for since it was opened."""
    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [p["request"]["url"] for p in sent]


def check_clean(browser, origin: str) -> None:
    errors = [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    assert not errors, "\n".join(errors)
    allowed = (origin, "data:", "blob:")
    outside = [url for url in requested(browser) if not url.startswith(allowed)]
    assert not outside, f"requests off the page's own origin: {outside}"


def check_figures(browser) -> int:
    figures = browser.find_elements("css selector", ".qr-figure")
    for figure in figures:
        label = figure.get_attribute("aria-label")
        assert label and label.strip(), "a figure without an alt text"
        svg = figure.find_element("css selector", ".main-svg")
        assert svg.size["width"] > 100 and svg.size["height"] > 100, f"not drawn: {label}"
    plots = browser.find_elements("css selector", ".plotly-graph-div")
    assert len(plots) == len(figures), "a plotly figure was not shown by queen_ref.plots.show"
    return len(figures)


def check_sliders(browser) -> int:
    """Click on each slider, far from where it stands: what is drawn must change."""
    from selenium.webdriver import ActionChains

    moved = 0
    for figure in browser.find_elements("css selector", ".qr-figure"):
        rails = figure.find_elements("css selector", ".slider-rail-touch-rect")
        for number, rail in enumerate(rails):
            label = figure.get_attribute("aria-label")
            browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", rail)
            plot = figure.find_element("css selector", ".js-plotly-plot")
            early = browser.execute_script(
                "const s = arguments[0]._fullLayout.sliders[arguments[1]];"
                "return 2 * s.active < s._stepCount;",
                plot,
                number,
            )
            before = browser.execute_script(DRAWN, figure)
            side = (0.4 if early else -0.4) * rail.rect["width"]
            ActionChains(browser).move_to_element_with_offset(rail, int(side), 0).click().perform()
            wait_until(
                lambda fig=figure, old=before: browser.execute_script(DRAWN, fig) != old,
                f"slider {number} changes nothing in: {label}",
                seconds=5,
            )
            moved += 1
    return moved


@pytest.mark.parametrize("page", toc_pages())
def test_page(page, origin, browser, record_property):
    open_page(browser, f"{origin}/{page}.html")
    record_property("figures", check_figures(browser))
    record_property("sliders", check_sliders(browser))
    assert not browser.find_elements("css selector", "mjx-merror"), "an equation has an error"
    check_clean(browser, origin)


@pytest.mark.parametrize("page", toc_pages())
def test_page_fits_a_phone(page, origin, browser):
    open_page(browser, f"{origin}/{page}.html")
    browser.set_window_size(500, 900)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    wait_until(lambda: browser.execute_script(wide) <= 1, f"{page} scrolls sideways", seconds=5)


def chapters() -> list[str]:
    return [page for page in toc_pages() if page.startswith("notebooks/")]


def test_a_chapter_opens_without_a_server(browser):
    page = (HTML / f"{chapters()[-1]}.html").as_uri()
    open_page(browser, page)
    assert check_figures(browser) > 0
    check_sliders(browser)
    check_clean(browser, HTML.as_uri())


def test_some_slider_works_in_some_chapter(origin, browser):
    """Guards the checks above: a book whose sliders are never found would pass them."""
    for page in chapters():
        open_page(browser, f"{origin}/{page}.html")
        if check_sliders(browser):
            return
    pytest.fail("no chapter has a slider")


def test_equations_are_typeset(origin, browser):
    for page in chapters():
        open_page(browser, f"{origin}/{page}.html")
        sources = browser.find_elements("css selector", ".math")
        done = browser.find_elements("css selector", ".math mjx-container")
        assert len(done) >= len(sources) > 0, f"{page}: {len(done)} of {len(sources)} equations"


def test_a_blocked_script_is_noticed(origin, browser):
    """Guards check_clean: it must see an error and a request that leaves the origin."""
    open_page(browser, f"{origin}/{toc_pages()[0]}.html")
    browser.execute_script("fetch('http://127.0.0.1:9/x').catch(() => {}); console.error('seen')")
    time.sleep(0.5)
    with pytest.raises(AssertionError, match="seen"):
        check_clean(browser, origin)
    browser.execute_script("fetch('http://127.0.0.1:9/x').catch(() => {})")
    wait_until(lambda: any(":9/x" in url for url in requested(browser)), "request not seen")


def test_colab_gets_the_notebook_and_not_the_text():
    for page in chapters():
        text = (HTML / f"{page}.html").read_text()
        start = "https://colab.research.google.com/github/queen-ref/queen-ref/blob/main/"
        assert f"{start}{page}.ipynb" in text


def test_footer_names_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"QUEEN-ref {version}" in (HTML / f"{toc_pages()[0]}.html").read_text()
