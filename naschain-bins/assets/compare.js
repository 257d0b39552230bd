/** Overlays the fronts and the hypervolumes of several runs. */

import { byId, el, fetchJson, percent, showProblem, table } from "./dom.js";
import { axis, categories, chart, draw, plain } from "./plot.js";
import { Record } from "./record.js";
import { FrontHistory } from "./view_hypervolume.js";
import { checkbox, right, rightHead, select, whole } from "./view_parts.js";

const MOST_RUNS = 8;
const COSTS = [["params", "parameters"], ["flops", "FLOPs"]];

/** The compared runs: their ids, what the list says of them, and their records. */
const runs = [];
const cost = select("Cost", COSTS, () => drawAll());
const log = checkbox("Logarithmic", () => drawAll());
const by = select("Hypervolume by", [["evaluations", "evaluations"], ["ms", "time"]], () => drawAll());
const fronts = chart("Pareto fronts of the searches");
const volumes = chart("Hypervolumes of the searches");

/** What is known of a run besides its record: a list of all is there, even if one alone is refused. */
const infoOf = ({ id, info }) => info ?? byId("run").infos?.get(id) ?? null;
const nameOf = (run) => infoOf(run)?.name ?? run.record.facts.title ?? run.id;

/** The names of the runs; where two have the same, with the beginning of their ids. */
function labels() {
  const names = runs.map(nameOf);
  return runs.map(({ id }, at) => (names.filter((name) => name === names[at]).length > 1 ? `${names[at]} (${id.slice(0, 8)})` : names[at]));
}

async function add(id) {
  if (runs.some((run) => run.id === id)) return;
  if (runs.length >= MOST_RUNS) throw new Error(`At most ${MOST_RUNS} searches can be compared. Remove one first.`);
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const [json, info] = await Promise.all([fetchJson(`${path}/record`), fetchJson(path).catch(() => null)]);
  // It may have been asked for twice before the first answer.
  if (runs.some((run) => run.id === id)) return;
  const record = new Record(json);
  const history = new FrontHistory(record);
  history.advance();
  runs.push({ id, record, history, info });
}

function remove(id) {
  runs.splice(runs.findIndex((run) => run.id === id), 1);
  show();
}

/** The largest parameters and FLOPs of all runs: one box for all, or volumes could not be compared. */
function commonBox() {
  return runs.map(({ history }) => history.largestAt(Infinity)).reduce(([p, f], [params, flops]) => [Math.max(p, params), Math.max(f, flops)], [0, 0]);
}

function show() {
  const query = runs.map(({ id }) => `run=${encodeURIComponent(id)}`).join("&");
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
  const names = labels();
  byId("chosen").replaceChildren(...runs.map(({ id }, at) => el("li", {},
    el("a", { href: `/runs/${encodeURIComponent(id)}` }, names[at]),
    el("button", { type: "button", "aria-label": `Remove ${names[at]}`, onclick: () => remove(id) }, "Remove"))));
  const warnings = differences();
  byId("differences").hidden = warnings.length === 0;
  byId("differences").replaceChildren(...warnings.map((text) => el("p", {}, text)));
  byId("empty").hidden = runs.length > 0;
  byId("charts").hidden = runs.length === 0;
  showOffered();
  drawAll();
}

/** What makes the runs hard to compare. */
function differences() {
  const differ = (of) => new Set(runs.map(of).filter((value) => value !== undefined && value !== null)).size > 1;
  const warnings = [];
  if (differ((run) => infoOf(run)?.data)) warnings.push("These searches have different data sets, so their accuracies do not measure the same.");
  if (differ(({ record }) => record.facts.measured_on)) warnings.push("Some of these searches measured accuracies on validation images and others on test images. Test accuracies must not choose a network.");
  if (differ(({ record }) => record.facts.epochs)) warnings.push("These searches train for different numbers of epochs.");
  if (runs.some(({ record }) => record.finished === null)) warnings.push("Some of these searches have not ended. Reload the page to see what came since.");
  return warnings;
}

async function drawAll() {
  if (runs.length === 0) return;
  try {
    const box = commonBox();
    const names = labels();
    const shades = categories();
    const curves = runs.map(({ history }) => history.curve(Infinity, box));
    showTable(names, curves);
    await drawFronts(names, shades);
    await drawVolumes(names, shades, curves);
  } catch (problem) {
    showProblem(byId("problem"), problem);
  }
}

function showTable(names, curves) {
  const rows = runs.map(({ record }, at) => {
    const front = record.frontRows(Infinity);
    return [
      el("td", { class: "name-cell" }, names[at]), right(whole(record.ended.length)), right(whole(front.length)),
      right(front.length ? percent(record.accuracy[front[0]]) : "–"), right(curves[at].length ? curves[at].at(-1).share.toFixed(4) : "–"),
    ];
  });
  byId("numbers").replaceChildren(table("The searches in numbers", ["Search", rightHead("Trainings"), rightHead("On the front"), rightHead("Best accuracy"), rightHead("Hypervolume")], rows));
}

async function drawFronts(names, shades) {
  const traces = runs.flatMap(({ record }, at) => {
    const rows = record.frontRows(Infinity).sort((a, b) => record[cost.value][a] - record[cost.value][b] || record.accuracy[b] - record.accuracy[a]);
    let best = -Infinity;
    const line = rows.filter((row) => record.accuracy[row] > best && ((best = record.accuracy[row]), true));
    const shade = shades[at % shades.length];
    const points = (rows) => ({ type: "scatter", x: rows.map((row) => record[cost.value][row]), y: rows.map((row) => record.accuracy[row]), legendgroup: String(at) });
    return [
      { ...points(line), mode: "lines", name: plain(names[at]), line: { shape: "hv", color: shade, width: 2, dash: at >= shades.length ? "dash" : "solid" }, hoverinfo: "skip" },
      {
        ...points(rows), mode: "markers", name: plain(names[at]), showlegend: false, marker: { color: shade, size: 8 },
        text: rows.map((row) => `${plain(names[at])}<br>${record.genome[row]}<br>${percent(record.accuracy[row])}, ${whole(record.params[row])} parameters, ${whole(record.flops[row])} FLOPs`),
        hovertemplate: "%{text}<extra></extra>",
      },
    ];
  });
  await draw(fronts, traces, {
    uirevision: `${cost.value} ${log.value} ${runs.length}`, showlegend: true,
    xaxis: axis(COSTS.find(([name]) => name === cost.value)[1], { type: log.value ? "log" : "linear" }), yaxis: axis("accuracy (%)"),
  });
}

async function drawVolumes(names, shades, curves) {
  // Minutes are readable for any length of run that is compared.
  const isTime = by.value === "ms";
  const traces = curves.map((curve, at) => {
    const { record } = runs[at];
    const x = curve.map((point) => (isTime ? point.ms / 60_000 : point.evaluations));
    const y = curve.map(({ share }) => share);
    if (curve.length) {
      x.push(isTime ? record.end / 60_000 : record.ended.length);
      y.push(y.at(-1));
    }
    return {
      type: "scatter", mode: "lines", name: plain(names[at]), x, y, hovertemplate: "%{y:.4f}",
      line: { shape: "hv", color: shades[at % shades.length], width: 2, dash: at >= shades.length ? "dash" : "solid" },
    };
  });
  await draw(volumes, traces, {
    uirevision: `${by.value} ${runs.length}`, showlegend: true,
    xaxis: axis(isTime ? "time (min)" : "evaluations"), yaxis: axis("hypervolume"),
  });
}

/** Asks for the runs that can be added. */
async function offer() {
  const control = byId("run");
  control.infos = new Map();
  let before;
  do {
    const page = await fetchJson(`/v1/runs?limit=100${before === undefined ? "" : `&before=${before}`}`);
    page.runs.forEach((info) => control.infos.set(info.id, info));
    before = page.next ?? undefined;
  } while (before !== undefined && control.infos.size < 500);
}

/** Fills the list of runs that can be added: those that are not compared already. */
function showOffered() {
  const control = byId("run");
  const before = control.value;
  const offered = [...(control.infos?.values() ?? [])].filter(({ id }) => !runs.some((run) => run.id === id));
  control.replaceChildren(...offered.map(({ id, name, owner }) => el("option", { value: id }, `${name} of ${owner} (${id.slice(0, 8)})`)));
  if (offered.some(({ id }) => id === before)) control.value = before;
  byId("add").hidden = offered.length === 0;
}

async function chosen(event) {
  event.preventDefault();
  const id = byId("run").value;
  try {
    await add(id);
    showProblem(byId("problem"), null);
  } catch (problem) {
    showProblem(byId("problem"), problem);
  }
  show();
}

async function start() {
  byId("front-chart").append(el("div", { class: "controls" }, cost.root, log.root), fronts);
  byId("volume-chart").append(el("div", { class: "controls" }, by.root), volumes);
  byId("add").addEventListener("submit", chosen);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  const wanted = new URLSearchParams(location.search).getAll("run");
  const results = await Promise.allSettled([offer(), ...wanted.map(add)]);
  const failed = results.filter(({ status }) => status === "rejected").map(({ reason }) => reason.detail ?? reason.message);
  showProblem(byId("problem"), failed.length ? new Error(failed.join(" ")) : null);
  // In the order of the address, not of the answers.
  runs.sort((a, b) => wanted.indexOf(a.id) - wanted.indexOf(b.id));
  byId("loading").hidden = true;
  show();
}

start();
