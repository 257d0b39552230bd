"""Chromium for the tests of the pages, driven by Playwright.

Every page is watched: a request to another host, a violation of the content security policy, an
error of a script or an unexpected failed request makes the test fail.
"""

import contextlib
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

# A page may take longer on a machine that does other things at the same time.
TIMEOUT_MS = 30_000
# What axe calls the impact of a fault that keeps somebody from using a page.
GRAVE = ("serious", "critical")


def chromium():
    """The path of the browser."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        raise SystemExit("chromium was not found; install it, or set CHROMIUM to its path")
    return found


class Watched:
    """A browser whose pages may talk to one genomaster only."""

    def __init__(self, playwright, base):
        self.base = base
        self.host = urlsplit(base).netloc
        self.faults = []
        # Parts of the addresses of requests that may fail.
        self.may_fail = []
        self.browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])

    def context(self, width=1280, scheme="light", **more):
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True, **more
        )
        context.set_default_timeout(TIMEOUT_MS)
        context.on("page", self._watch)
        return context

    def _watch(self, page):
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on("console", lambda message: self._heard(page, message))
        page.on("request", lambda request: self._requested(page, request))

    def _heard(self, page, message):
        if message.type not in ("error", "warning"):
            return
        # Plotly's WebGL in software says that reading pixels is slow.
        if "GPU stall" in message.text or "WebGL" in message.text:
            return
        where = message.location.get("url", "") if message.location else ""
        if any(part in where for part in self.may_fail):
            return
        self.faults.append(f"{page.url}: {message.text} ({where})")

    def _requested(self, page, request):
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob", "file") or parts.netloc == self.host:
            return
        self.faults.append(f"{page.url}: a request to {request.url}")

    def check(self):
        """Fails if anything was wrong since the start."""
        assert not self.faults, "\n".join(self.faults)


@contextlib.contextmanager
def watched(base):
    with sync_playwright() as playwright:
        browser = Watched(playwright, base)
        try:
            yield browser
            browser.check()
        finally:
            browser.browser.close()


def check_accessible(page, name):
    """Fails on serious faults that axe finds."""
    found = Axe().run(page)
    grave = [rule for rule in found.response["violations"] if rule["impact"] in GRAVE]
    shown = [f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes']][:3]}" for rule in grave]
    assert not grave, f"{name}: " + "\n".join(shown)


def check_fits(page, name):
    """Fails if the page is wider than the screen."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} is {wide} pixels wider than the screen"


def register(page, base, user, password="correct horse battery"):
    """Makes an account, with the keyboard only."""
    page.goto(f"{base}/register")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type(user)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{base}/")


def make_pictures(folder: Path, classes, each, side=24, seed=5):
    """A folder of pictures: light shapes of one kind on a dark ground for each class."""
    from PIL import Image, ImageDraw
    import random

    drawing = random.Random(seed)
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            image = Image.new("RGB", (side, side), tuple(drawing.randrange(60) for _ in range(3)))
            draw = ImageDraw.Draw(image)
            shade = tuple(drawing.randrange(160, 256) for _ in range(3))
            x, y = drawing.randrange(2, side // 3), drawing.randrange(2, side // 3)
            box = (x, y, x + side // 2, y + side // 2)
            [draw.ellipse, draw.rectangle, draw.line][index % 3](box, fill=shade)
            image.save(folder / name / f"{number}.png")
