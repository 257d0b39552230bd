/** Who trained what and when: the trainings of each miner as bars over time. */

import { colour, counted, el, number } from "./dom.js";
import { axis, chart, draw, plain, timeAxis } from "./plot.js";
import { Stack } from "./view_cloud.js";
import { line, select, shortMiner, timeText } from "./view_parts.js";

const LENGTHS = [[60_000, "1 minute"], [600_000, "10 minutes"], [3_600_000, "1 hour"], [21_600_000, "6 hours"], [86_400_000, "1 day"], ["", "the whole run"]];
const MOST_MINERS = 200;
const ROW_PX = 24;
const OUTCOMES = [
  ["training", "test"], ["answered", "middle"], ["agreed", "good"], ["rejected", "bad"], ["expired", "warn"], ["released", "dot"],
];

/** The view of the timeline. */
export function timelineView(app) {
  const length = select("show", LENGTHS, app.redraw, app.record.end > 3_600_000 ? "3600000" : "");
  const figure = chart("Trainings of the miners over time");
  let shown = { bars: [], to: 0 };
  const stack = new Stack(figure, {
    find: (x, y) => barAt(figure, shown, x, y),
    describe: ({ row }) => describe(app.record, row),
    chosen: ({ row }) => app.select(row.job),
  });
  const notice = line("notice");
  const problem = line("problem", "alert");
  const root = el("div", {},
    el("h2", {}, "Timeline"),
    el("div", { class: "controls" }, length.root),
    problem.root, notice.root, stack.root,
    el("p", { class: "hint" }, "Each bar is the training of one seat. A framed bar is speculative execution: a faster miner took over the seat of a straggler. Click a bar to open its candidate."));

  return {
    name: "timeline", title: "Timeline", root,
    async draw(record, t) {
      const to = Math.min(t, record.end);
      const from = length.value ? Math.max(0, to - Number(length.value)) : 0;
      let trainings;
      try {
        trainings = await app.seats.overlapping(from, t);
        problem.say("");
      } catch (error) {
        problem.say(error.detail ?? String(error));
        return;
      }
      const { rows, truncated } = trainings;
      const lanes = lanesOf(record, rows.filter((row) => row.from <= to));
      const oldest = rows.reduce((least, row) => Math.min(least, row.from), Infinity);
      notice.say([
        truncated ? `Only the newest ${number(rows.length)} trainings are shown, from ${timeText(record, oldest)} on. Choose a shorter time to see all.` : "",
        lanes.left ? `${counted(lanes.left, "more miner")} trained in this time.` : "",
        rows.length ? "" : "Nobody trained in this time.",
      ].filter(Boolean).join(" "));
      stack.root.hidden = rows.length === 0;
      figure.style.height = `${90 + ROW_PX * Math.max(4, lanes.miners.length)}px`;
      if (rows.length) await drawBars(figure, record, { lanes, from, to, length: length.value });
      shown = { bars: lanes.bars, to };
    },
  };
}

/** Gives each training a row of its miner, and a lane in it where trainings overlap. */
function lanesOf(record, rows) {
  const byMiner = new Map();
  for (const row of rows) {
    if (!byMiner.has(row.miner)) byMiner.set(row.miner, []);
    byMiner.get(row.miner).push(row);
  }
  const place = (name) => record.minerIndex.get(name) ?? Infinity;
  const names = [...byMiner.keys()].sort((a, b) => place(a) - place(b));
  const miners = names.slice(0, MOST_MINERS);
  const bars = [];
  miners.forEach((name, at) => {
    const ends = [];
    const own = byMiner.get(name).sort((a, b) => a.from - b.from);
    const laid = own.map((row) => {
      let lane = ends.findIndex((end) => end <= row.from);
      if (lane < 0) lane = ends.length;
      ends[lane] = row.to ?? Infinity;
      return { row, lane };
    });
    laid.forEach(({ row, lane }) => {
      const height = 0.8 / ends.length;
      const low = at - 0.4 + lane * height;
      bars.push({ row, low, high: low + height * 0.92 });
    });
  });
  return { bars, miners, left: names.length - miners.length };
}

async function drawBars(figure, record, { lanes: { bars, miners }, from, to, length }) {
  const end = (row) => row.to ?? to;
  const traces = OUTCOMES.map(([outcome, shade]) => {
    const own = bars.filter(({ row }) => row.outcome === outcome);
    return outline(outcome, own, end, { fillcolor: colour(shade), line: { width: 0 } });
  }).filter(({ x }) => x.length);
  const second = bars.filter(({ row }) => row.second);
  if (second.length) traces.push(outline("take-over", second, end, { fillcolor: "rgba(0,0,0,0)", line: { width: 1.5, color: colour("text") } }));
  const named = innerWidth > 600 ? (name) => plain(shortMiner(name)) : (name) => plain(name.length > 9 ? `${name.slice(0, 8)}…` : name);
  await draw(figure, traces, {
    uirevision: length, showlegend: true,
    xaxis: timeAxis(record, from, to, { range: [from, to] }),
    yaxis: axis("", { tickvals: miners.map((_, at) => at), ticktext: miners.map(named), range: [miners.length - 0.5, -0.5], fixedrange: true, showgrid: false, zeroline: false }),
    margin: { l: 40, r: 16, t: 44, b: 46 },
  });
}

/** All bars of a kind as one shape, which is drawn fast. */
function outline(name, bars, end, more) {
  const [x, y] = [[], []];
  for (const { row, low, high } of bars) {
    x.push(row.from, end(row), end(row), row.from, row.from, null);
    y.push(low, low, high, high, low, null);
  }
  return { name, type: "scatter", mode: "lines", x, y, fill: "toself", hoverinfo: "skip", ...more };
}

/** The bar at a place in the chart, in pixels. */
function barAt(figure, { bars, to }, x, y) {
  const { xaxis, yaxis } = figure._fullLayout ?? {};
  if (!xaxis) return null;
  const [ms, lane] = [xaxis.p2c(x - xaxis._offset), yaxis.p2c(y - yaxis._offset)];
  // A short training is a thin bar, which would be hard to hit.
  const reach = Math.abs(xaxis.p2c(3) - xaxis.p2c(0));
  return bars.find(({ row, low, high }) => lane >= low && lane <= high && ms >= row.from - reach && ms <= (row.to ?? to) + reach) ?? null;
}

function describe(record, row) {
  return [
    row.miner,
    `candidate ${row.job}, seat ${row.seat + 1}${row.second ? ", take-over" : ""}: ${row.outcome}`,
    `${timeText(record, row.from)} to ${row.to === null ? "now" : timeText(record, row.to)}${row.epoch ? `, ${counted(row.epoch, "epoch")}` : ""}`,
  ];
}
