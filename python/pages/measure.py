"""Measures the page of a run: the first view, the delay of events, memory, and what twenty open pages cost.

Arguments: the address of a genomaster of one run, and the process id of the genomaster. Prints one JSON
object. The delay is measured only where the run goes on.
"""

import json
import os
import statistics
import sys
import time

from browser import watched

PAGES = 20
# Notes when what is there first: the numbers, the points, the axes.
NOTE = """
window.seen = {};
const look = () => {
  const note = (name, found) => { if (found && !(name in seen)) seen[name] = Math.round(performance.now()); };
  note("numbers_ms", document.querySelector("#summary")?.textContent);
  note("table_ms", document.querySelector("table tbody tr"));
  note("points_ms", document.querySelector("canvas.cloud")?.width > 400);
  note("chart_ms", document.querySelector(".js-plotly-plot .xtick"));
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
DELAYS = """async () => {
  const delays = [];
  const { cursor } = await (await fetch("/v1/record")).json();
  const source = new EventSource(`/v1/events?after=${cursor}`);
  let at = null;
  source.onmessage = ({ data }) => { if (JSON.parse(data).type === "verdict") at ??= performance.now(); };
  new MutationObserver(() => {
    if (at !== null) delays.push(performance.now() - at);
    at = null;
  }).observe(document.querySelector("#summary"), { childList: true, characterData: true, subtree: true });
  await new Promise((done) => setTimeout(done, 15000));
  source.close();
  return delays;
}"""


def cpu_seconds(process):
    fields = open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cores(process, seconds):
    before, began = cpu_seconds(process), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(process) - before) / (time.monotonic() - began)


def first_view(browser, base):
    page = browser.context().new_page()
    page.add_init_script(NOTE)
    page.goto(base, wait_until="commit")
    page.wait_for_timeout(5000)
    sizes = "performance.getEntriesByType('resource').map((one) => [one.name, one.transferSize])"
    sent = {name.rsplit("/", 1)[1]: size for name, size in page.evaluate(sizes)}
    view = page.evaluate("window.seen")
    view["sent_before_charts_bytes"] = sum(size for name, size in sent.items() if name not in ("plotly.js", "record"))
    view["heap_mb"] = round(page.evaluate("performance.memory.usedJSHeapSize") / 1e6)
    page.context.close()
    return view


def main():
    base, process = sys.argv[1], int(sys.argv[2])
    with watched(base) as browser:
        views = [first_view(browser, base) for _ in range(5)]
        found = {name: statistics.median(view.get(name, 0) for view in views) for name in views[0]}
        found["cores_alone"] = round(cores(process, 15), 3)
        pages = [browser.context().new_page() for _ in range(PAGES)]
        for page in pages:
            page.goto(base)
        time.sleep(5)
        found["cores_with_20_pages"] = round(cores(process, 20), 3)
        delays = pages[0].evaluate(DELAYS)
        if delays:
            found["event_median_ms"], found["event_longest_ms"] = round(statistics.median(delays)), round(max(delays))
    print(json.dumps(found))


main()
