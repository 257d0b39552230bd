/** The networks as points, with the Pareto front. */

import { counted, el, grouped, number, percent, colour } from "./dom.js";
import { axis, categories, chart, draw, onPointClick, scale } from "./plot.js";
import { Cloud, pixelOf, scaledPixels } from "./view_cloud.js";
import { FrontTables } from "./view_front_table.js";
import { checkbox, guessingText, line, networkAxes, networksAt, scaleLegend, select, spread, whole } from "./view_parts.js";

/** More points than this are not drawn in three dimensions. */
const MOST_3D = 20_000;
/** More points than this are drawn on a canvas. */
const MOST_SVG_POINTS = 2_000;

/** The view of the front. */
export function frontView(app) {
  const record = app.record;
  const axes = Object.entries(networkAxes(record)).map(([name, { label }]) => [name, label]);
  const controls = {
    x: select("horizontal", axes, app.redraw, "params"),
    y: select("vertical", axes, app.redraw, "accuracy"),
    z: select("depth", [["", "none"], ...axes], app.redraw, ""),
    log: checkbox("logarithmic costs", app.redraw),
    colour: select("colour", [["generation", "generation"], ["verdict", "verdict"], ["", "one colour"]], app.redraw, "generation"),
    rungs: checkbox("all rungs", app.redraw),
  };
  const figure = chart("Networks and the Pareto front");
  const notice = line("notice");
  const excluded = line("hint");
  const legend = scaleLegend();
  const cloud = new Cloud(figure, {
    describe: (at) => hover(app.record, cloud.points.rows[at]).split("<br>"),
    chosen: (at) => app.select(app.record.job[cloud.points.rows[at]]),
  });
  const tables = new FrontTables(app);
  const hint = line("hint");
  const root = el("div", {},
    el("h2", {}, "Networks"),
    el("div", { class: "controls" }, Object.values(controls).map((control) => control.root)),
    notice.root, legend.root, cloud.root,
    hint.root, excluded.root, tables.root);
  let drawn = {};

  return {
    name: "front", title: "Front", root,
    show: (job, options) => tables.show(job, options),
    async draw(record, t, { isForced } = {}) {
      offerRungs(record, controls);
      tables.draw(record, t);
      const until = record.endedBy(t);
      const key = [until, app.selected].join();
      // Other times between two results show the same.
      if (!isForced && drawn.record === record && drawn.key === key) return;
      drawn = { record, key };
      const networks = networksAt(record, t, { allRungs: controls.rungs.value });
      const text = guessingText(record, networks);
      cloud.root.hidden = networks.rows.length === 0;
      notice.say(networks.rows.length ? (networks.isGuessing ? text : "") : "No network has a result yet.");
      const isThinned = controls.z.value && networks.rows.length > MOST_3D;
      excluded.say([networks.isGuessing ? "" : text, isThinned ? `${number(MOST_3D)} of ${counted(networks.rows.length, "network")} are drawn, evenly over the run.` : ""].filter(Boolean).join(" "));
      const ways = controls.z.value ? "Drag to turn, scroll to zoom" : "Drag to zoom, double-click to zoom out";
      hint.say(networks.rows.length ? `${ways}, click a point to see its network below.` : "");
      if (networks.rows.length === 0) return;
      await drawNetworks(figure, record, t, { rows: networks.rows, controls, selected: app.selected, cloud, legend });
      onPointClick(figure, (job) => app.select(job));
    },
  };
}

/** With rungs networks can have the colour of their rung. */
function offerRungs(record, { colour: control, rungs }) {
  rungs.root.hidden = !record.hasRungs;
  const options = [...control.control.options];
  if (record.hasRungs && !options.some(({ value }) => value === "rung")) options[0].after(el("option", { value: "rung" }, "rung"));
}

async function drawNetworks(figure, record, t, { rows, controls, selected, cloud, legend }) {
  const axes = networkAxes(record);
  const chosen = ["x", "y", "z"].map((name) => controls[name].value).filter(Boolean).map((name) => ({ name, ...axes[name] }));
  const is3d = chosen.length === 3;
  const frontJobs = record.frontJobs(t);
  const isFront = (row) => frontJobs.has(record.job[row]);
  const front = rows.filter(isFront);
  // Those of the front too: it is drawn around them, so that they keep their colour.
  const others = rows.filter((row) => chosen.every((axis) => axis.of(row) !== null));
  const groups = coloured(record, t, is3d ? spread(others, MOST_3D) : others, controls.colour.value);
  const last = record.generationAt(t);
  if (groups[0]?.values) legend.show("generation", "1", String(last));
  else legend.hide();
  const isCloud = !is3d && others.length > MOST_SVG_POINTS;
  const type = is3d ? "scatter3d" : "scatter";
  const traces = isCloud ? [extent(others, chosen), ...groups.map(key)] : groups.map(({ name, rows, shade, values }) => trace(record, name, rows, chosen, {
    type, marker: { size: is3d ? 3 : 7, ...(values ? { color: values, colorscale: scale(), cmin: 1, cmax: last } : { color: shade }) },
  }));
  traces.push(...frontTraces(record, front, chosen, axes));
  // The axes are those of the whole run also in a replay, so that points stay where they are.
  if (!isCloud && !is3d) traces.push(extent(networksAt(record, Infinity).rows.filter((row) => chosen.every((axis) => axis.of(row) !== null)), chosen));
  const row = record.rowOf.get(selected);
  if (row !== undefined && record.isMeasured(row, t)) {
    const ring = { color: is3d ? colour("text") : "rgba(0,0,0,0)", size: is3d ? 8 : 17, symbol: is3d ? "circle-open" : "circle", line: { color: colour("text"), width: 2 } };
    traces.push(trace(record, "selected", [row], chosen, { type, marker: ring, hoverinfo: "skip", hovertemplate: undefined }));
  }
  cloud.set(isCloud ? pointsOf(groups, chosen, last) : null);
  if (!controls.log.value) await cloud.preview(chosen.map(({ label }) => label));
  await draw(figure, traces, layoutOf(chosen, controls.log.value));
  cloud.attach();
}

/** The front, as a line where it is one, and with the test accuracies where they are known. */
function frontTraces(record, front, chosen, axes) {
  const [x, y] = chosen;
  const is3d = chosen.length === 3;
  const traces = [];
  if (!is3d && x.isCost && ["accuracy", "test"].includes(y.name)) traces.push(steps(front, x, y));
  traces.push(trace(record, "Pareto front", front, chosen, {
    type: is3d ? "scatter3d" : "scatter",
    marker: { color: colour("front"), size: is3d ? 7 : 12, symbol: "circle-open", line: { color: colour("front"), width: is3d ? 3 : 2.5 } },
  }));
  if (!is3d && y.name === "accuracy" && axes.test && front.some((row) => axes.test.of(row) !== null)) {
    traces.push(trace(record, "front, test accuracy", front, [x, axes.test], {
      type: "scatter", marker: { color: colour("test"), size: 9, symbol: "x-thin-open", line: { color: colour("test"), width: 2 } },
    }));
  }
  return traces;
}

/** A trace that is not seen, so that the axes hold all points of the canvas. */
function extent(rows, chosen) {
  const ends = chosen.map((axis) => rows.map(axis.of).reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]));
  return { type: "scatter", mode: "markers", x: ends[0], y: ends[1], marker: { opacity: 0, size: 17 }, hoverinfo: "skip", showlegend: false };
}

/** The entry of a group of the canvas in the legend. */
function key({ name, shade, values }) {
  return { name, type: "scatter", mode: "markers", x: [null], y: [null], marker: { size: 7, color: values ? colour("middle") : shade } };
}

function pointsOf(groups, chosen, last) {
  const rows = groups.flatMap((group) => group.rows);
  const pixels = groups.map(({ rows, shade, values }) => (values ? scaledPixels(values, 1, last) : new Uint32Array(rows.length).fill(pixelOf(shade))));
  const all = new Uint32Array(rows.length);
  let from = 0;
  for (const part of pixels) {
    all.set(part, from);
    from += part.length;
  }
  return { rows, x: rows.map(chosen[0].of), y: rows.map(chosen[1].of), pixels: all, radius: rows.length > 20_000 ? 1.6 : 2.5 };
}

function layoutOf(chosen, isLog) {
  const [x, y, z] = chosen.map((one) => axis(one.label, { type: isLog && one.isCost ? "log" : "linear" }));
  const layout = { uirevision: [...chosen.map(({ name }) => name), isLog].join(), legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemsizing: "constant" } };
  if (!z) return { ...layout, xaxis: x, yaxis: y };
  return { ...layout, scene: { xaxis: x, yaxis: y, zaxis: z, camera: { eye: { x: 1.35, y: 1.35, z: 0.9 }, center: { x: 0, y: 0, z: -0.2 } } }, margin: { l: 0, r: 0, t: 44, b: 0 } };
}

/** The points of networks that have values on all axes. */
function trace(record, name, rows, chosen, more) {
  const known = rows.filter((row) => chosen.every((axis) => axis.of(row) !== null));
  return {
    name, mode: "markers", ...Object.fromEntries(chosen.map((axis, at) => ["xyz"[at], known.map(axis.of)])),
    text: known.map((row) => hover(record, row)), customdata: known.map((row) => record.job[row]), hovertemplate: "%{text}<extra></extra>", ...more,
  };
}

function hover(record, row) {
  const job = record.job[row];
  const test = record.test_accuracy[job];
  const accuracy = record.facts.measured_on === "validation"
    ? `validation ${percent(record.accuracy[row])}${test === undefined ? "" : `, test ${percent(test)}`}` : `test ${percent(record.accuracy[row])}`;
  return `${grouped(record.genome[row], record.facts.phase_len)}<br>${accuracy}<br>`
    + `${whole(record.params[row])} parameters, ${whole(record.flops[row])} FLOPs<br>`
    + `candidate ${job}, generation ${record.generation[row]}${record.hasRungs ? `, ${counted(record.epochsOf(row), "epoch")}` : ""}`;
}

/** The other networks in groups of one colour each, or in one with values of a scale. */
function coloured(record, t, rows, by) {
  if (by === "generation" && record.generationAt(t) > 1) return [{ name: "evaluated", rows, values: rows.map((row) => record.generation[row]) }];
  if (by !== "verdict" && by !== "rung") return [{ name: "evaluated", rows, shade: colour("dot") }];
  const shades = categories().filter((shade) => shade !== colour("front"));
  const groups = new Map();
  for (const row of rows) {
    const value = by === "rung" ? record.epochsOf(row) : record.verdict[row];
    if (!groups.has(value)) groups.set(value, []);
    groups.get(value).push(row);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([value, rows], at) => ({
    name: by === "rung" ? counted(value, "epoch") : record.verdicts[value], rows, shade: shades[at % shades.length],
  }));
}

/** The best accuracy up to each cost, as a step function. */
function steps(front, x, y) {
  const sorted = front.filter((row) => y.of(row) !== null).sort((a, b) => x.of(a) - x.of(b) || y.of(b) - y.of(a));
  let best = -Infinity;
  const rising = sorted.filter((row) => y.of(row) > best && ((best = y.of(row)), true));
  return {
    name: "best up to this cost", type: "scatter", mode: "lines", x: rising.map(x.of), y: rising.map(y.of),
    line: { shape: "hv", color: colour(y.name === "test" ? "test" : "front"), width: 2 }, hoverinfo: "skip",
  };
}
