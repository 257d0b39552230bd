/** The networks as parallel coordinates. */

import { counted, el, number, si } from "./dom.js";
import { ParallelPlot } from "./view_parallel_plot.js";
import { guessingText, line, networkAxes, networksAt, scaleLegend, spread } from "./view_parts.js";

const SHOWN = ["accuracy", "params", "flops", "nodes", "evaluation"];
const MOST_LINES = 10_000;

/** The view of parallel coordinates. */
export function parallelView() {
  const notice = line("notice");
  const note = line("hint");
  const kept = line("hint", "status");
  const fields = el("div", { class: "controls" });
  const legend = scaleLegend();
  const plot = new ParallelPlot(() => changed());
  const scroll = el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Parallel coordinates" }, plot.root);
  const ranges = el("details", {}, el("summary", {}, "Ranges and order"), fields);
  const root = el("div", {},
    el("h2", {}, "Parallel coordinates"),
    el("p", { class: "hint" }, "Drag along an axis to keep the networks in that range, and click it to keep all; drag a name to move its axis."),
    notice.root, legend.root, scroll, kept.root, ranges, note.root);
  let drawn = {};

  function changed() {
    kept.say(plot.ranges.size ? `${counted(plot.keptCount, "network")} in these ranges.` : "");
    showFields(fields, plot);
  }

  return {
    name: "parallel", title: "Parallel coordinates", root,
    draw(record, t, { isForced } = {}) {
      // Other times between two results show the same.
      const until = record.endedBy(t);
      if (!isForced && drawn.record === record && drawn.until === until) return;
      drawn = { record, until };
      const networks = networksAt(record, t);
      [scroll, legend.root, ranges].forEach((part) => { part.hidden = networks.rows.length === 0; });
      notice.say(networks.rows.length ? (networks.isGuessing ? guessingText(record, networks) : "") : "No network has a result yet.");
      const rows = sample(record, t, networks.rows);
      note.say([rows.length < networks.rows.length ? `${counted(rows.length, "network")} of ${number(networks.rows.length)} are drawn: those of the front, and others evenly over the run.` : "",
        networks.isGuessing ? "" : guessingText(record, networks)].filter(Boolean).join(" "));
      if (rows.length === 0) return;
      const axes = networkAxes(record);
      const accuracies = rows.map(axes.accuracy.of);
      plot.show(SHOWN.map((name) => ({
        name, label: axes[name].label, values: rows.map(axes[name].of), text: si, isWhole: name === "nodes" || name === "evaluation",
      })), accuracies);
      const { low, high } = plot.dimensions.find(({ name }) => name === "accuracy");
      legend.show(`${record.facts.measured_on} accuracy`, `${low.toFixed(1)} %`, `${high.toFixed(1)} %`);
      changed();
    },
  };
}

/** The rows that are drawn: with those of the front, at most so many that it stays fast. */
function sample(record, t, rows) {
  if (rows.length <= MOST_LINES) return rows;
  const front = record.frontJobs(t);
  return [...spread(rows.filter((row) => !front.has(record.job[row])), MOST_LINES), ...rows.filter((row) => front.has(record.job[row]))];
}

/** Fields that do what dragging does, in the order of the axes. They stay, so that they keep the focus. */
function showFields(container, plot) {
  if (container.children.length === 0) container.append(...plot.ordered.map((dimension) => fieldsOf(dimension, plot)));
  plot.order.forEach((name, place) => {
    const field = [...container.children].find((field) => field.dataset.axis === name);
    if (container.children[place] !== field) container.children[place].before(field);
    const range = plot.ranges.get(name) ?? ["", ""];
    [...field.querySelectorAll("input")].forEach((input, at) => {
      const value = range[at] === "" || !Number.isFinite(range[at]) ? "" : String(Number(range[at].toPrecision(6)));
      if (input !== document.activeElement && input.value !== value) input.value = value;
    });
    field.querySelector("button").disabled = place === 0;
  });
}

function fieldsOf({ name, label }, plot) {
  const changed = () => {
    const [low, high] = inputs.map((input) => input.value);
    plot.keep(name, low === "" && high === "" ? null : [low === "" ? -Infinity : Number(low), high === "" ? Infinity : Number(high)]);
  };
  const inputs = ["least", "most"].map((bound) => el("input", { type: "number", step: "any", class: "bound", placeholder: bound, "aria-label": `${bound} ${label}`, onchange: changed }));
  const back = el("button", {
    type: "button", "aria-label": `move ${label} to the left`, onclick: () => {
      plot.move(name, plot.order.indexOf(name) - 1);
      back.focus();
    },
  }, "←");
  return el("fieldset", { class: "bounds", "data-axis": name }, el("legend", {}, label), ...inputs, " ", back);
}
