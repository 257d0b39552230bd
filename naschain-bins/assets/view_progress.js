/** The hypervolume over the run. */

import { colour, el } from "./dom.js";
import { axis, chart, draw, timeAxis } from "./plot.js";
import { historyOf } from "./view_hypervolume.js";
import { line, select } from "./view_parts.js";

/** The view of the progress. */
export function progressView(app) {
  const by = select("by", [["evaluations", "evaluations"], ["time", "run time"]], app.redraw);
  const figure = chart("Hypervolume over the run");
  const note = line("notice");
  const root = el("div", {},
    el("h2", {}, "Hypervolume"),
    el("div", { class: "controls" }, by.root),
    note.root, figure,
    el("p", { class: "hint" }, "How much the front dominates of a box: from 100 % accuracy at no cost to 0 % at the parameters and FLOPs of the largest network of the front. Higher is better. Earlier networks that are larger than that count as nothing, and when the front gets a larger network, the whole curve is computed again."));

  return {
    name: "progress", title: "Progress", root,
    async draw(record, t) {
      const points = historyOf(record).curve(t);
      by.root.hidden = !record.facts.has_times;
      note.say(points.length ? "" : "No network is better than guessing yet.");
      figure.hidden = points.length === 0;
      if (points.length) await drawCurve(figure, record, t, points, by.value === "time" && record.facts.has_times);
    },
  };
}

async function drawCurve(figure, record, t, points, isByTime) {
  const until = record.endedBy(t);
  const end = isByTime ? Math.min(t, record.end) : until;
  const x = points.map((point) => (isByTime ? point.ms : point.evaluations));
  const y = points.map((point) => point.share);
  // The last front holds until now.
  x.push(Math.max(end, x.at(-1)));
  y.push(y.at(-1));
  const isOne = !isByTime && until <= 1;
  // Around one value alone the library would choose a range that no share can have.
  const isFlat = y.every((share) => share === y[0]);
  await draw(figure, [{
    x, y, type: "scatter", mode: isOne ? "markers" : "lines", marker: { color: colour("front") },
    line: { shape: "hv", color: colour("front"), width: 2 },
    hovertemplate: isByTime ? "%{y:.4f}<extra></extra>" : "after %{x} evaluations: %{y:.4f}<extra></extra>",
  }], {
    uirevision: isByTime,
    xaxis: isByTime ? timeAxis(record, 0, end)
      : axis("evaluations", { tickformat: "d", range: isOne ? [0, 2] : undefined, dtick: until <= 12 ? 1 : undefined }),
    yaxis: axis("hypervolume", { range: isFlat ? [0, 1] : undefined }),
    margin: { l: 60, r: 16, t: 16, b: 48 },
  });
}
