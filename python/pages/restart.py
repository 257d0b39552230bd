"""A page that stays open while its genomaster is killed and started again.

Arguments: the address of a genomaster of one run. The test writes a line for each thing that is to be
done outside, and waits for an answer on its standard input.
"""

import sys

from browser import watched
from playwright.sync_api import expect


def ask(what):
    print(what, flush=True)
    assert sys.stdin.readline().strip() == "done"


def main():
    base = sys.argv[1]
    with watched(base) as browser:
        # While the genomaster is not there, requests fail.
        browser.may_fail = [base]
        page = browser.context().new_page()
        page.goto(base)
        expect(page.locator("#status")).to_contain_text("live")
        ask("kill")
        expect(page.locator("#status")).to_contain_text("reconnecting", timeout=60_000)
        ask("start")
        expect(page.locator("#status")).to_contain_text("live", timeout=60_000)
        ask("miners")
        # What happens now is seen without reloading, and soon after it happened.
        expect(page.locator("#status")).to_contain_text("ended", timeout=120_000)
        shown = page.locator("#summary").inner_text()
        ended = page.evaluate("fetch('/v1/record').then((r) => r.json()).then((r) => r.candidates.ended_ms.length)")
        assert f"{ended} trainings" in shown, (ended, shown)
    print("the page has caught up", flush=True)


main()
