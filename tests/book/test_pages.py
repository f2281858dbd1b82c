"""The built book in a headless browser: what a reader without Python and network gets.

`make book` comes first. Without chromium these tests are skipped, loudly, unless
QUEEN_REQUIRE_BROWSER=1 says that a skip is a failure.
"""

import functools
import html.parser
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import pytest
import yaml

import queen_ref as qr

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --window-size=1280,1000"
).split()
PATIENCE = 120  # seconds for what a busy machine keeps waiting

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
    why = []
    for _ in range(2):  # a start may fail on a machine that does much else
        try:
            window = start(chromium, driver, tmp_path_factory.mktemp("profile"))
            break
        except Exception as error:  # of chromium, of its driver, or of the wire between
            why.append(str(error))
    else:
        pytest.fail("\n".join(["waited twice for chromium to start", *why]))
    yield window
    window.quit()


def start(chromium: str, driver: str, profile: Path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Naming the driver keeps selenium from asking the network for one.
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    window.set_page_load_timeout(PATIENCE)
    window.set_script_timeout(PATIENCE)
    window.command_executor.client_config.timeout = 2 * PATIENCE
    return window


def open_page(browser, url: str) -> None:
    # What the page before, or the browser's own first page, still asks for is not this page's.
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.set_window_size(1280, 1000)
    browser.get(url)
    wait_until(lambda: browser.execute_script(SETTLED), f"{url} did not draw everything")


def wait_until(condition, message: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{message} (waited {PATIENCE} s)"
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
    assert len(plots) == len(figures), "a plotly figure was not shown by queen_book.chapter.show"
    return len(figures)


def check_sliders(browser) -> int:
    """Move each slider by keyboard to its other end: what is drawn must change."""
    from selenium.webdriver import Keys

    moved = 0
    for figure in browser.find_elements("css selector", ".qr-figure:has(.qr-controls)"):
        label = figure.get_attribute("aria-label")
        for slider in figure.find_elements("css selector", "input[type=range]"):
            if not slider.is_displayed():
                continue  # its menu shows another one
            browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
            before = browser.execute_script(DRAWN, figure)
            said = slider.get_attribute("aria-valuetext")
            early = 2 * int(slider.get_attribute("value")) < int(slider.get_attribute("max"))
            slider.send_keys(Keys.END if early else Keys.HOME)
            wait_until(
                lambda fig=figure, old=before: browser.execute_script(DRAWN, fig) != old,
                f"a slider changes nothing in: {label}",
            )
            assert slider.get_attribute("aria-valuetext") != said, f"not announced: {label}"
            moved += 1
    return moved


def check_quiz(browser) -> int:
    """Open every option: it shows its verdict and closes the others; one of them is right."""
    options = browser.find_elements("css selector", "details.quiz")
    right: dict[str, int] = {}
    for option in options:
        option.find_element("css selector", "summary").send_keys("\n")
        name = option.get_attribute("name")
        others = f'details.quiz[name="{name}"][open]'
        assert browser.find_elements("css selector", others) == [option], f"{name}: not alone"
        verdict = option.find_element("css selector", "p strong").text
        assert verdict in ("Right.", "Not quite."), f"{name}: {verdict}"
        right[name] = right.get(name, 0) + (verdict == "Right.")
    assert all(count == 1 for count in right.values()), right
    return len(right)


@pytest.mark.parametrize("page", toc_pages())
def test_page(page, origin, browser, record_property):
    open_page(browser, f"{origin}/{page}.html")
    record_property("figures", check_figures(browser))
    record_property("sliders", check_sliders(browser))
    assert check_quiz(browser) >= (3 if page.startswith("notebooks/") else 0)
    assert not browser.find_elements("css selector", "mjx-merror"), "an equation has an error"
    check_clean(browser, origin)


@pytest.mark.parametrize("page", toc_pages())
def test_page_fits_a_phone(page, origin, browser):
    open_page(browser, f"{origin}/{page}.html")
    browser.set_window_size(500, 900)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    wait_until(lambda: browser.execute_script(wide) <= 1, f"{page} scrolls sideways")
    assert browser.execute_script("return window.innerWidth") <= 500, "the window stayed wide"
    assert browser.execute_script(wide) <= 1, f"{page} scrolls sideways"


def chapters() -> list[str]:
    return [page for page in toc_pages() if page.startswith("notebooks/")]


def test_a_chapter_opens_without_a_server(browser):
    page = (HTML / f"{chapters()[-1]}.html").as_uri()
    open_page(browser, page)
    assert check_figures(browser) > 0
    check_sliders(browser)
    check_clean(browser, HTML.as_uri())


def test_the_offline_zip_opens_from_disk(browser, tmp_path):
    command = [sys.executable, ROOT / "book" / "tools" / "offline.py", "--out", tmp_path]
    packed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    shutil.unpack_archive(packed, tmp_path)
    (page,) = tmp_path.glob(f"queen-ref-*/{chapters()[2]}.html")
    open_page(browser, page.as_uri())
    assert check_figures(browser) > 0 and check_sliders(browser) > 0
    check_clean(browser, page.parents[1].as_uri())


def test_the_pdf_holds_the_whole_book(browser, tmp_path):
    command = [sys.executable, ROOT / "book" / "tools" / "pdf.py", "--out", tmp_path]
    printed = subprocess.run(command, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr[-2000:]
    content = Path(printed.stdout.splitlines()[-1]).read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    assert content.count(b"/Type /Page\n") > 100


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

    def noticed() -> bool:
        try:
            check_clean(browser, origin)
        except AssertionError as error:
            return "seen" in str(error)
        return False

    wait_until(noticed, "error not seen")
    browser.execute_script("fetch('http://127.0.0.1:9/x').catch(() => {})")
    wait_until(lambda: any(":9/x" in url for url in requested(browser)), "request not seen")


# The theme's own buttons have a label that differs from their text, and docutils marks a
# bibliography as a list whose entries are not called items.
NOT_OURS = ["label-content-name-mismatch", "aria-required-children"]
AXE = """
const [theme, off, done] = arguments;
document.documentElement.dataset.theme = document.documentElement.dataset.mode = theme;
const rules = Object.fromEntries(off.map((name) => [name, {enabled: false}]));
const look = () => axe.run(document, {resultTypes: ['violations'], rules}).then((found) => done(
  found.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map(
    (v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(' | ')}`)));
// Colours that are still changing are nobody's.
const changing = () => document.getAnimations().some((a) => a instanceof CSSTransition);
const settled = () => (changing() ? setTimeout(settled, 50) : look());
setTimeout(settled, 500);
"""


@pytest.mark.parametrize("page", toc_pages())
def test_axe_finds_no_serious_violation(page, origin, browser):
    """Names, roles, order and contrast, as axe-core measures them."""
    open_page(browser, f"{origin}/{page}.html")
    browser.execute_script((ROOT / "tests" / "vendor" / "axe.min.js").read_text())
    for theme in ("light", "dark"):
        found = browser.execute_async_script(AXE, theme, NOT_OURS)
        assert not found, "\n".join([theme, *found])


class Links(html.parser.HTMLParser):
    """The addresses a page points to, and the anchors it has."""

    def __init__(self, text: str):
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and tag in ("a", "img", "script", "link"):
                self.targets.append(value or "")
            elif name in ("id", "name"):
                self.anchors.add(value or "")


def test_every_internal_link_and_anchor_resolves():
    pages = {path: Links(path.read_text()) for path in HTML.rglob("*.html")}
    broken = []
    for path, links in pages.items():
        if "_static" in path.parts:
            continue
        for target in links.targets:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = path.parent / urllib.parse.unquote(parts.path) if parts.path else path
            file = Path(os.path.normpath(file))
            anchor = urllib.parse.unquote(parts.fragment)
            known = pages.get(file)
            if not file.exists() or (anchor and known and anchor not in known.anchors):
                broken.append(f"{path.relative_to(HTML)} -> {target}")
    assert len(pages) > 15 and not broken, "\n".join(sorted(set(broken))[:20])


def test_launch_links_and_download_name_the_notebook_and_not_the_text():
    for page in chapters():
        text = (HTML / f"{page}.html").read_text()
        start = "https://colab.research.google.com/github/queen-ref/queen-ref/blob/main/"
        assert f"{start}{page}.ipynb" in text
        assert f"mybinder.org/v2/gh/queen-ref/queen-ref/main?urlpath=lab/tree/{page}.ipynb" in text
        assert f"_sources/{page}.ipynb" in text
        assert (ROOT / f"{page}.ipynb").is_file()


def test_one_page_can_be_built_while_it_is_written():
    command = [sys.executable, ROOT / "book" / "tools" / "build.py", "--page", "book/notation"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path(done.stdout.splitlines()[-1]).is_file()


def test_footer_names_the_version():
    assert f"QUEEN-ref {qr.__version__}" in (HTML / f"{toc_pages()[0]}.html").read_text()
