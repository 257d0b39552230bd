/** Accuracies from rung to rung, or the learning curves of the delivered networks. */

import { byId, colour, counted, el, fetchJson, grouped, isStatic, page, percent } from "./dom.js";
import { axis, chart, draw, scale } from "./plot.js";
import { line, scaleLegend, select } from "./view_parts.js";

const MOST_LINES = 200;
const RETRY_MS = 10_000;

/** The view of the curves. */
export function curvesView(app) {
  const shown = select("show", [["train_accuracy", "training accuracy"], ["loss", "training loss"]], app.redraw);
  const figure = chart("Learning curves");
  const notice = line("notice");
  const caption = line("hint");
  const legend = scaleLegend();
  const root = el("div", {}, el("h2", {}, "Learning curves"),
    el("div", { class: "controls" }, shown.root), notice.root, legend.root, figure, caption.root);
  const models = delivered();

  return {
    name: "curves", title: "Curves", root,
    async draw(record, t) {
      shown.root.hidden = record.hasRungs;
      if (record.hasRungs) return drawRungs(record, t, { figure, notice, caption, legend });
      const { curves, problem } = await models(record);
      notice.say(problem);
      figure.hidden = curves.length === 0;
      caption.say(curves.length ? "The networks of the front whose miners delivered them with the learning curve that they report. These curves come at the end of the run, so they do not follow the time." : "");
      if (curves.length) await drawCurves(figure, record, curves, shown.value);
    },
  };
}

/** Reads the delivered networks; what is not there yet is asked for again later. */
function delivered() {
  let [known, asked] = [null, -Infinity];
  return async (record) => {
    if (known?.curves.length) return known;
    if (performance.now() - asked < RETRY_MS && known) return known;
    asked = performance.now();
    try {
      const models = isStatic() ? Object.values(JSON.parse(byId("details").textContent)) : await fetchJson(`${page.api}/front/models`);
      const curves = models.filter(({ curve }) => curve?.length);
      known = { curves, problem: curves.length ? "" : "No learning curves are known. Miners deliver only networks of the front, with the curves that they report, at the end of the run." };
    } catch (problem) {
      const text = problem.status === 404 ? "Learning curves come at the end of the run: miners then deliver the networks of the front, with the curves that they report." : problem.detail;
      known = { curves: [], problem: record.finished !== null && problem.status === 404 ? `${text} They are not there yet.` : text };
    }
    return known;
  };
}

async function drawCurves(figure, record, curves, measure) {
  const shades = ["front", "test", "middle", "high", "low", "dot"].map(colour);
  const traces = curves.map(({ genome, curve }, at) => ({
    type: "scatter", mode: "lines+markers", name: grouped(genome.replaceAll(" ", ""), record.facts.phase_len),
    x: curve.map(({ epoch }) => epoch), y: curve.map((point) => point[measure]),
    line: { color: shades[at % shades.length], dash: ["solid", "dot", "dash"][Math.floor(at / shades.length) % 3] },
  }));
  await draw(figure, traces, {
    uirevision: measure, showlegend: curves.length > 1 && curves.length <= 12 && innerWidth > 600,
    xaxis: axis("epoch", { dtick: Math.max(...curves.map(({ curve }) => curve.length)) <= 12 ? 1 : undefined }),
    yaxis: axis(measure === "loss" ? "training loss" : "training accuracy (%)"),
  });
}

/** The rows of each genome in order of its rungs, the best at its longest training first. */
function paths(record, t) {
  const byGenome = new Map();
  const until = record.endedBy(t);
  for (let at = 0; at < until; at++) {
    const row = record.ended[at];
    if (record.accuracy[row] === null) continue;
    const path = byGenome.get(record.genome[row]);
    if (path) path.push(row);
    else byGenome.set(record.genome[row], [row]);
  }
  const all = [...byGenome.values()];
  all.forEach((path) => path.sort((a, b) => record.rung[a] - record.rung[b]));
  const best = (path) => record.accuracy[path.at(-1)];
  return all.sort((a, b) => best(b) - best(a));
}

/** One line for each genome; lines of one trace are separated by gaps, which draws them fast. */
async function drawRungs(record, t, { figure, notice, caption, legend }) {
  const all = paths(record, t);
  const some = all.slice(0, MOST_LINES);
  notice.say(some.length ? "" : "No network has a result yet.");
  figure.hidden = some.length === 0;
  caption.say(some.length ? `${all.length > some.length ? `The best ${MOST_LINES} of ${counted(all.length, "genome")}` : counted(all.length, "genome")}: ${record.facts.measured_on} accuracy after the epochs of each rung. A line ends where the genome was not trained further, or has not been yet.` : "");
  if (!some.length) return;
  const last = Math.max(1, record.generationAt(t));
  if (last > 1) legend.show("generation", "1", String(last));
  else legend.hide();
  const [x, y, text, colours] = [[], [], [], []];
  for (const path of some) {
    for (const row of path) {
      x.push(record.epochsOf(row));
      y.push(record.accuracy[row]);
      text.push(`${grouped(record.genome[row], record.facts.phase_len)}<br>${percent(record.accuracy[row])} after ${counted(record.epochsOf(row), "epoch")}`);
      colours.push(record.generation[row]);
    }
    [x, y, text, colours].forEach((column) => column.push(null));
  }
  await draw(figure, [{
    type: "scatter", mode: "lines+markers", x, y, text, hovertemplate: "%{text}<extra></extra>", connectgaps: false,
    line: { color: colour("dot"), width: 1 },
    marker: { size: 7, color: colours, cmin: 1, cmax: last, colorscale: scale() },
  }], {
    xaxis: axis("epochs", { tickvals: [...record.facts.rungs, record.facts.epochs] }),
    yaxis: axis(`${record.facts.measured_on} accuracy (%)`),
  });
}
