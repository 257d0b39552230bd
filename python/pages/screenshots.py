"""Pictures of every page, in light and dark, 1280 and 390 pixels wide.

Arguments: the address of a genomaster with many runs, the folder for the pictures, a file with the
password of the administrator `ada`, the id of a run that has ended, and optionally `half`: then wide
pages are made in light and narrow ones in dark only.
"""

import sys
from pathlib import Path

from browser import check_accessible, check_fits, watched

VIEWS = ["front", "parallel", "progress", "genes", "curves", "timeline", "miners", "jobs"]


def pages(run):
    yield from [("home", "/"), ("account", "/account"), ("data", "/data"), ("upload", "/data/new")]
    yield from [("data-set", "/data/digits"), ("new-search", "/runs/new?data=digits")]
    yield from [(f"search-{view}", f"/runs/{run}#{view}") for view in VIEWS]
    yield from [("candidate", f"/runs/{run}/candidates/9"), ("choose", f"/runs/{run}/choose")]
    yield from [("compare", f"/compare?run={run}&run={run}"), ("operator", "/operator"), ("not-found", "/nowhere")]


def main():
    base, out, password, run = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]).read_text().strip(), sys.argv[4]
    out.mkdir(parents=True, exist_ok=True)
    with watched(base) as browser:
        browser.may_fail = ["/candidates/", "/nowhere", "/models"]
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                if "half" in sys.argv and (width == 390) != (scheme == "dark"):
                    continue
                context = browser.context(width, scheme)
                page = context.new_page()

                def shot(name, path):
                    page.goto(base + path)
                    page.wait_for_load_state("networkidle") if "/runs/" not in path else page.wait_for_timeout(1800)
                    page.wait_for_timeout(400)
                    check_accessible(page, f"{name} {width} {scheme}")
                    check_fits(page, f"{name} {width} {scheme}")
                    page.screenshot(path=out / f"{name}-{width}-{scheme}.png", full_page=True)

                for name, path in [("front-page", "/"), ("sign-in", "/sign-in"), ("register", "/register")]:
                    shot(name, path)
                page.goto(f"{base}/sign-in")
                page.get_by_label("Name", exact=True).fill("ada")
                page.get_by_label("Password", exact=True).fill(password)
                page.keyboard.press("Enter")
                page.wait_for_url(f"{base}/")
                for name, path in pages(run):
                    shot(name, path)
                context.close()
    print(f"{len(list(out.glob('*.png')))} pictures in {out}")


main()
