/** The page of a run: its views, which follow the run or a moment of it. Also the static report. */

import { byId, counted, duration, el, fetchJson, isStatic, number, page, percent } from "./dom.js";
import { follow, throttled } from "./live.js";
import { plotly } from "./plot.js";
import { Record } from "./record.js";
import { Scrubber } from "./scrubber.js";
import { curvesView } from "./view_curves.js";
import { frontView } from "./view_front.js";
import { genesView } from "./view_genes.js";
import { jobsView } from "./view_jobs.js";
import { minersView } from "./view_miners.js";
import { parallelView } from "./view_parallel.js";
import { networksAt } from "./view_parts.js";
import { progressView } from "./view_progress.js";
import { Seats } from "./view_seats.js";
import { timelineView } from "./view_timeline.js";

const ANNOUNCE_MS = 10_000;
/** What is shown of time goes on without events. */
const TICK_MS = 1_000;
/** After these times since the end, test accuracies are asked for; they are measured at the end. */
const RESULT_WAITS_MS = [2_000, 10_000, 60_000];
const STATES = {
  loading: "loading …", live: "live", paused: "paused", reconnecting: "reconnecting …", stopped: "stopped", ended: "ended",
  gone: "not there any more", report: "",
};

const app = { record: null, askedFor: null, t: Infinity, selected: null, seats: null, views: [], view: null, own: null };
let isForced = false;
let announced = -Infinity;
/** The run time of the newest event, and when it came, by the clock of this machine. */
const clock = { ms: 0, at: 0 };

const ask = throttled(drawAll);
app.redraw = () => {
  isForced = true;
  ask();
};

/** Opens a candidate below the front; `null` closes it. */
app.select = (job, { isMoved = true } = {}) => {
  app.selected = job;
  const front = app.views[0];
  if (app.view !== front && job !== null) open(front);
  writeHash();
  front.show(job, { isMoved });
  app.redraw();
};

const scrubber = new Scrubber((t) => {
  app.t = t;
  ask();
});

async function drawAll() {
  const { record, t, view } = app;
  if (!record) return;
  const forced = isForced;
  isForced = false;
  summarise(record, t);
  scrubber.update(record);
  try {
    await view.draw(record, t, { isForced: forced });
    byId("problem").hidden = true;
  } catch (problem) {
    console.error(problem);
    byId("problem").hidden = false;
    byId("problem").textContent = problem.detail ?? problem.message;
  }
  // A run without results draws nothing, but soon will. A failure is told by the first chart.
  plotly().catch(() => {});
}

function summarise(record, t) {
  const { facts } = record;
  const ended = record.endedBy(t);
  const front = record.frontRows(t);
  const isEnded = record.finished !== null && t >= record.finished;
  const generation = record.generationAt(t);
  const failed = record.failedBy(t);
  const parts = [
    isEnded ? counted(ended, "training") : `${number(ended)} of ${record.hasRungs ? "at most " : ""}${counted(facts.networks, "training")}`,
    ...(generation && facts.generations ? [`generation ${generation} of ${facts.generations}`] : []),
    ...(front.length ? [`best ${percent(record.accuracy[front[0]])}`] : []),
    `${counted(front.length, "network")} on the front`,
    ...(failed ? [`${number(failed)} without a result`] : []),
    ...(facts.has_times && !isEnded && !isStatic() ? [minersHere(record.presentAt(t).size)] : []),
  ];
  const text = parts.join(", ");
  if (byId("summary").textContent !== text) byId("summary").textContent = text;
  // A screen reader that was told of each event would never stop.
  const now = performance.now();
  if (t === Infinity && now - announced > ANNOUNCE_MS && byId("announcement").textContent !== text) {
    byId("announcement").textContent = text;
    announced = now;
  }
}

const minersHere = (count) => (count === 0 ? "waiting for miners: none is here" : `${counted(count, "miner")} here`);

/** Shows the state of the connection. */
function setStatus(state, problem) {
  if (state === "gone") {
    byId("problem").hidden = false;
    byId("problem").replaceChildren("This search was deleted, or you may not see it any more. ", el("a", { href: "/" }, "All searches"));
  }
  if (byId("status").dataset.state !== state) app.own?.refresh();
  const isOver = state === "stopped" && app.record?.facts.time_limit_ms != null && app.record.now >= app.record.facts.time_limit_ms - 1_000;
  const text = isOver ? `stopped: its time of ${duration(app.record.facts.time_limit_ms)} was over` : problem && problem.status && state !== "gone" ? `${STATES[state]} ${problem.detail}` : STATES[state];
  const status = byId("status");
  if (status.dataset.state === state && status.textContent === text) return;
  status.dataset.state = state;
  status.textContent = text;
}

/** Shows a record that was read, the first or one that replaces another. */
function show(record) {
  const isFirst = app.record === null;
  app.record = record;
  app.seats = new Seats(record);
  setTime(record.now);
  if (record.finished !== null && !isStatic()) askForResult(record);
  if (isFirst) begin(record);
  else if (app.selected !== null) app.views[0].show(app.selected);
  app.redraw();
}

/** Makes the views and opens that of the address. */
function begin(record) {
  const { facts } = record;
  byId("title").textContent = facts.title;
  const hasSeats = !isStatic() && facts.has_times;
  app.views = [
    frontView(app), parallelView(), progressView(app), genesView(app), curvesView(app),
    ...(hasSeats ? [timelineView(app), minersView(app), jobsView(app)] : isStatic() ? [minersView(app)] : []),
  ];
  byId("tabs").replaceChildren(...app.views.map(tabOf));
  byId("views").replaceChildren(...app.views.map((view) => {
    view.panel = el("section", { role: "tabpanel", id: `panel-${view.name}`, "aria-labelledby": `tab-${view.name}`, hidden: true }, view.root);
    return view.panel;
  }));
  byId("tabs").hidden = false;
  if (!isStatic() || record.length > 0) byId("scrubber").replaceChildren(scrubber.root);
  open(app.views[0]);
  readHash();
  addEventListener("hashchange", readHash);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", app.redraw);
}

function tabOf(view) {
  view.tab = el("button", {
    type: "button", role: "tab", id: `tab-${view.name}`, "aria-controls": `panel-${view.name}`, "aria-selected": "false", tabIndex: -1,
    onclick: () => {
      open(view);
      writeHash();
    },
    onkeydown: (event) => moved(event, view),
  }, view.title);
  return view.tab;
}

/** Arrow keys, Home and End move between the tabs. */
function moved(event, view) {
  const at = app.views.indexOf(view);
  const last = app.views.length - 1;
  const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  open(app.views[to]);
  writeHash();
  app.view.tab.focus();
}

function open(view) {
  if (app.view === view) return;
  app.view = view;
  for (const other of app.views) {
    const isOpen = other === view;
    other.panel.hidden = !isOpen;
    other.tab.setAttribute("aria-selected", String(isOpen));
    other.tab.tabIndex = isOpen ? 0 : -1;
  }
  // After the chosen tab has its bold name.
  requestAnimationFrame(() => view.tab.scrollIntoView({ block: "nearest", inline: "center" }));
  app.redraw();
}

/** The address has the open view and the selected candidate, as in `#front/12`. */
function writeHash() {
  const hash = `#${app.view.name}${app.selected === null ? "" : `/${app.selected}`}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

function readHash() {
  const [name, job] = location.hash.slice(1).split("/");
  const view = app.views.find((view) => view.name === name);
  if (job && /^\d+$/.test(job) && Number(job) !== app.selected) app.select(Number(job), { isMoved: false });
  if (view) open(view);
}

function setTime(ms) {
  clock.ms = ms;
  clock.at = performance.now();
}

function added(events) {
  const { record, selected } = app;
  for (const event of events) {
    app.seats.apply(event);
    if (event.type === "verdict" && event.batch === selected) app.views[0].show(selected);
  }
  if (record.finished !== null) askForResult(record);
  setTime(record.now);
  ask();
}

/** The test accuracies of the delivered networks, which come after the search has ended. */
async function askForResult(record) {
  if (app.askedFor === record) return;
  app.askedFor = record;
  for (const wait of RESULT_WAITS_MS) {
    await new Promise((done) => setTimeout(done, wait));
    const result = await fetchJson(`${page.api}/result`).catch(() => null);
    for (const { job, test_accuracy: test } of result?.networks ?? []) if (test !== null) record.test_accuracy[job] = test;
    if (record === app.record) app.redraw();
    if (Object.keys(record.test_accuracy).length) return;
  }
}

/** Between events the time of a live run goes on. */
function tick() {
  const { record, t, view } = app;
  if (!record || record.finished !== null || !["live", "paused"].includes(byId("status").dataset.state)) return;
  record.now = Math.max(record.now, clock.ms + performance.now() - clock.at);
  scrubber.update(record);
  // These show time that passes; the others change with events.
  if (t === Infinity && ["timeline", "jobs", "miners"].includes(view.name)) ask();
}

/** In a module of its own, which reports do not have. */
async function showOwnActions() {
  const { ownActions } = await import("./run_actions.js");
  app.own = ownActions(byId("problem"));
  byId("actions").append(app.own.root);
  app.own.refresh();
}

function start() {
  if (isStatic()) {
    setStatus("report");
    show(new Record(JSON.parse(byId("record").textContent)));
    const { rows } = networksAt(app.record, Infinity);
    const best = app.record.frontRows(Infinity)[0] ?? rows[0];
    if (app.selected === null && app.view === app.views[0] && best !== undefined) app.select(app.record.job[best], { isMoved: false });
    return;
  }
  const run = page.api.match(/^\/v1\/runs\/(.+)$/)?.[1];
  byId("actions").append(
    el("a", { class: "button", href: `${page.base ?? ""}/choose` }, "Choose a network"),
    ...(run ? [el("a", { class: "button", href: `/compare?run=${run}` }, "Compare with other searches")] : []));
  setStatus("loading");
  if (run && "own" in page) showOwnActions();
  follow({ onRecord: show, onEvents: added, onStatus: setStatus });
  setInterval(tick, TICK_MS);
}

start();
