"""Print the built book into one PDF: all pages in one, by headless Chromium.

    python book/tools/pdf.py              _build/queen-ref-VERSION.pdf
    python book/tools/pdf.py --out FOLDER

`make book` comes first: its executed notebooks are used again. Sliders show their first position,
quizzes and solutions are open.
"""

import argparse
import base64
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build import BUILD, ROOT, environment

from queen_ref import __version__
from queen_ref.cache import write_whole

# The whole book is one page here, so drawing it takes a while.
PATIENCE = 300
OPEN = "document.querySelectorAll('details').forEach((d) => { d.name = ''; d.open = true; });"
DRAWN = """
const left = [...document.querySelectorAll('.plotly-graph-div')].filter(
  (el) => el.querySelector('.main-svg') === null).length;
const math = [...document.querySelectorAll('.math')].filter(
  (el) => el.querySelector('mjx-container') === null).length;
return document.readyState === 'complete' ? left + math : -1;
"""
LOOK = """
const style = document.createElement('style');
style.textContent = `
  .qr-controls, .bd-header, .bd-sidebar, .prev-next-area, .headerlink, .copybtn { display: none }
  .toggle-hidden, .admonition.toggle-hidden > * { visibility: visible; height: auto; opacity: 1 }
  [id^='document-'] + section { break-before: page }
  .bd-content :not(figure, figure *, tr) { break-inside: auto !important }
  figure.qr-figure { break-inside: avoid }
  pre { white-space: pre-wrap; overflow-wrap: anywhere }`;
document.head.append(style);
document.querySelectorAll('.toggle-hidden').forEach((e) => e.classList.remove('toggle-hidden'));
"""


def one_page() -> Path:
    """All pages as one HTML file, from the notebooks that are executed already."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT]
    command += ["--builder", "singlehtml", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"expected one page, got: {done.stderr[-2000:]}")
    # It is written for the top folder, whose file only leads to it.
    folder = BUILD / "singlehtml"
    return (folder / "book" / "index.html").replace(folder / "index.html")


def printed(page: Path) -> bytes:
    """What Chromium prints of a page once every figure and equation is drawn."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as profile:
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage",
                     "window-size=1000,1400", f"user-data-dir={profile}"):  # fmt: skip
            options.add_argument(f"--{flag}")
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        browser = webdriver.Chrome(options=options, service=service)
        try:
            browser.set_page_load_timeout(PATIENCE)
            browser.set_script_timeout(PATIENCE)
            browser.command_executor.client_config.timeout = PATIENCE
            browser.get(page.as_uri())
            browser.execute_script(OPEN + LOOK)
            end = time.monotonic() + PATIENCE
            while left := browser.execute_script(DRAWN):
                if time.monotonic() > end:
                    raise RuntimeError(f"{left} figures or equations not drawn: two of one name?")
                time.sleep(1)
            answer = browser.execute_cdp_cmd("Page.printToPDF", {
                "printBackground": True, "preferCSSPageSize": False, "scale": 0.8,
                "paperWidth": 8.27, "paperHeight": 11.69, "displayHeaderFooter": True,
                "headerTemplate": "<span></span>", "footerTemplate":
                    "<div style='font-size:8px;width:100%;text-align:center'>"
                    "<span class='pageNumber'></span></div>",
            })  # fmt: skip
        finally:
            browser.quit()
    return base64.b64decode(answer["data"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=BUILD, help="folder, default _build")
    folder = parser.parse_args().out
    if not (BUILD / "html" / "index.html").is_file():
        parser.error("expected a built book in _build/html: run make book first")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        parser.error("expected chromium and chromedriver (Debian: apt install chromium-driver)")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"queen-ref-{__version__}.pdf"
    write_whole(file, printed(one_page()))
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
