/** What the views share: controls, axes of networks, parts of the page that keep the focus. */

import { duration, el, grouped, isStatic, number, page, percent, table } from "./dom.js";

/** A labelled choice of `[value, text]`. */
export function select(label, options, changed, value) {
  const control = el("select", { onchange: () => changed(control.value) }, options.map(([value, text]) => el("option", { value }, text)));
  if (value !== undefined) control.value = value;
  return { root: el("label", {}, `${label} `, control), control, get value() { return control.value; } };
}

/** A labelled check box. */
export function checkbox(label, changed, checked = false) {
  const control = el("input", { type: "checkbox", checked, onchange: () => changed(control.checked) });
  return { root: el("label", {}, control, ` ${label}`), control, get value() { return control.checked; } };
}

/** What the colours from low to high stand for. */
export function scaleLegend() {
  const [name, low, high] = [el("span", {}), el("span", {}), el("span", {})];
  const root = el("p", { class: "scale", hidden: true }, name, low, el("span", { class: "ramp", "aria-hidden": "true" }), high);
  return {
    root,
    show(...texts) {
      root.hidden = false;
      [name, low, high].forEach((part, at) => { part.textContent = texts[at]; });
    },
    hide() { root.hidden = true; },
  };
}

/** A paragraph that is hidden while it has no text. */
export function line(className, role) {
  const root = el("p", { class: className, role, hidden: true });
  return {
    root,
    say(text) {
      root.hidden = !text;
      if (root.textContent !== text) root.textContent = text;
    },
  };
}

/**
 * Makes the contents of an element anew if the key has changed. The focus stays on the control with the
 * same `data-focus`, and tables stay scrolled.
 */
export function keyed(container, key, make) {
  if (container.keyedBy === key) return;
  container.keyedBy = key;
  const focus = container.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  const scrolled = [...container.querySelectorAll(".scroll")].map((part) => [part.scrollLeft, part.scrollTop]);
  container.replaceChildren(...[make()].flat());
  container.querySelectorAll(".scroll").forEach((part, at) => {
    if (scrolled[at]) [part.scrollLeft, part.scrollTop] = scrolled[at];
  });
  if (focus !== undefined) [...container.querySelectorAll("[data-focus]")].find((control) => control.dataset.focus === focus)?.focus({ preventScroll: true });
}

/** A table of at most `most` rows, with a line that says how many of `total` are left out. */
export function longTable(caption, heads, rows, most, { total = rows.length, hint = "" } = {}) {
  const text = total > most ? `${number(most)} of ${number(total)}. ${hint}` : "";
  return [table(caption, heads, rows.slice(0, most)), ...(text ? [el("p", { class: "hint" }, text)] : [])];
}

const wholeNumber = new Intl.NumberFormat("en");

/** A whole number in words; faster than `number` where there are many. */
export const whole = (value) => wholeNumber.format(value);

/** A right-aligned cell of a table. */
export const right = (text) => el("td", { class: "number" }, text);

/** A right-aligned head of a column. */
export const rightHead = (text) => el("span", { class: "right-head" }, text);

/** A genome as a button that opens the candidate. */
export function candidateButton(app, record, row) {
  const job = record.job[row];
  return el("button", {
    type: "button", class: "link genome", "data-focus": `job-${job}`, onclick: () => app.select(job),
    "aria-label": `open candidate ${job}, genome ${record.genome[row]}`,
  }, grouped(record.genome[row], record.facts.phase_len));
}

/** A time of the record in words. */
export function timeText(record, ms) {
  return record.facts.has_times ? duration(ms) : `evaluation ${number(Math.round(ms))}`;
}

/** A short form of a miner's name: addresses are long, and differ at both ends. */
export const shortMiner = (name) => (name.length > 16 ? `${name.slice(0, 8)}…${name.slice(-4)}` : name);

/** The number of nodes of a network: those that are connected to another one of their phase. */
export function nodesOf(genome, phaseLength) {
  const nodes = Math.round((1 + Math.sqrt(8 * phaseLength - 7)) / 2);
  let count = 0;
  for (let at = 0; at + phaseLength <= genome.length; at += phaseLength) {
    let [bit, connected] = [at, 0];
    for (let reader = 1; reader < nodes; reader++) {
      for (let read = 0; read < reader; read++) if (genome[bit++] === "1") connected |= (1 << reader) | (1 << read);
    }
    for (; connected; connected &= connected - 1) count++;
  }
  return count;
}

/** What can be on an axis of networks. */
export function networkAxes(record) {
  const measured = record.facts.measured_on;
  return {
    params: { label: "parameters", format: ".3~s", of: (row) => record.params[row], isCost: true },
    flops: { label: "FLOPs", format: ".3~s", of: (row) => record.flops[row], isCost: true },
    accuracy: { label: `${measured} accuracy (%)`, format: ".2~f", of: (row) => record.accuracy[row] },
    ...(measured === "validation" ? { test: { label: "test accuracy (%)", format: ".2~f", of: (row) => record.test_accuracy[record.job[row]] ?? null } } : {}),
    // Other spaces have no nodes.
    ...(record.facts.space !== "macro" ? {} : { nodes: { label: "nodes", format: ".3~r", of: (row) => nodesOf(record.genome[row], record.facts.phase_len) } }),
    evaluation: { label: "evaluation", format: "~r", of: (row) => record.place[row] + 1 },
    generation: { label: "generation", format: "~r", of: (row) => record.generation[row] },
  };
}

/**
 * The measured networks at a time; with rungs the longest training of each, or all of them. Those that
 * are no better than guessing are left out, unless there are no others.
 */
export function networksAt(record, t, { allRungs = false } = {}) {
  const [useful, others] = [[], []];
  const until = record.endedBy(t);
  const { accuracy, ended, facts: { guessing_limit: limit } } = record;
  const isAll = allRungs || !record.hasRungs;
  for (let at = 0; at < until; at++) {
    const row = ended[at];
    if (accuracy[row] === null || !(isAll || record.isLatest(row, t))) continue;
    (accuracy[row] > limit ? useful : others).push(row);
  }
  const isGuessing = useful.length === 0;
  return { rows: isGuessing ? others : useful, isGuessing, leftOut: isGuessing ? 0 : others.length };
}

/** What is said of networks that are no better than guessing. */
export function guessingText(record, { rows, isGuessing, leftOut }) {
  const { guessing_limit: guessing, measured_on: measured } = record.facts;
  const limit = percent(guessing);
  if (isGuessing && rows.length) {
    const remedy = measured === "validation" ? "Search longer, for example with a larger budget." : "Train longer, with more epochs.";
    return `No network was better than guessing (above ${limit} ${measured} accuracy), so all are shown. ${remedy}`;
  }
  return leftOut ? `${number(leftOut)} ${leftOut === 1 ? "network" : "networks"} of at most ${limit} ${leftOut === 1 ? "is" : "are"} no better than guessing and not shown.` : "";
}

/** The page of a candidate, where there is a server. */
export function candidateLink(job, text) {
  return isStatic() ? null : el("a", { href: `${page.base ?? ""}/candidates/${job}` }, text);
}

/** Up to `most` of the rows, evenly spread. */
export function spread(rows, most) {
  if (rows.length <= most) return rows;
  return Array.from({ length: most }, (_, at) => rows[Math.floor((at * rows.length) / most)]);
}
