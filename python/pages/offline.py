"""The report of a run in one file, without a server and without a network.

Argument: the file.
"""

import sys
from pathlib import Path

from browser import check_accessible, check_fits, watched
from playwright.sync_api import expect


def main():
    report = Path(sys.argv[1]).resolve().as_uri()
    with watched("file:") as browser:
        for width, scheme in [(1280, "light"), (390, "dark")]:
            context = browser.context(width, scheme)
            context.set_offline(True)
            page = context.new_page()
            page.goto(report)
            expect(page.locator("#summary")).to_contain_text("trainings")
            expect(page.locator(".js-plotly-plot").first).to_be_visible()
            page.locator("table button, table a").first.click()
            expect(page.get_by_text("answers agreed").first).to_be_visible()
            for tab in page.get_by_role("tab").all():
                tab.click()
                page.wait_for_timeout(500)
                check_accessible(page, tab.inner_text())
                check_fits(page, tab.inner_text())
    print("the report works offline")


main()
