/** The first page: the searches that the user may see, and what to do with them. */

import { byId, el, fetchJson, page, percent, send, table } from "./dom.js";
import { CHANGES } from "./run_actions.js";
import { busy, confirmed, fill, numberCell, numbersRight, patience, quietHead, reveal, roughly, say, showTrouble, stacked, whileVisible } from "./account_parts.js";

const POLL_MS = 5_000;
const PAGE_RUNS = 50;
/** Ended searches whose result is asked for, once each: opening one costs the genomaster some work. */
const MAX_ENDED = 10;

const STATES = {
  running: "running", paused: "paused", stopping: "stopping", stopped: "stopped", finished: "finished",
};
const isOpen = (run) => ["running", "paused", "stopping"].includes(run.state);
const isAdmin = byId("searches").dataset.admin === "true";
const isMine = (run) => page.user && (run.owner === page.user || isAdmin);

/** Details by id: of open searches from the last poll, of ended ones for good. */
const details = new Map();
const ticked = new Set();
let older = [];
let next = null;
let shown = "";

/** What the buttons of a search do. */
const ACTIONS = {
  ...CHANGES,
  delete: {
    label: "Delete", states: ["running", "paused", "stopped", "finished"], done: "deleted",
    ask: (name) => ({
      title: `Delete ${name}?`, action: "Delete it",
      text: "The search is deleted with its networks, its journal and its links. This cannot be undone.",
    }),
  },
};

async function act(name, run, button) {
  const action = ACTIONS[name];
  if (action.ask && !(await confirmed(action.ask(run.name)))) return;
  await busy(button, async () => {
    try {
      const path = `/v1/runs/${run.id}`;
      await (name === "delete" ? send("DELETE", path) : send("POST", `${path}/${name}`));
      if (name === "delete") {
        ticked.delete(run.id);
        older = older.filter((one) => one.id !== run.id);
        // Its button goes away.
        focusHeading();
      }
      showTrouble(byId("problem"), null);
      say("status", `${run.name}: ${action.done}.`);
    } catch (problem) {
      showTrouble(byId("problem"), problem);
      reveal(byId("problem"));
    }
  });
  refresh();
}

function focusHeading() {
  const heading = byId("yours");
  heading.tabIndex = -1;
  heading.focus();
}

function buttons(run) {
  const fitting = Object.entries(ACTIONS).filter(([, action]) => action.states.includes(run.state));
  return el("div", { class: "row-actions" }, fitting.map(([name, action]) => el("button", {
    type: "button", id: `${name}-${run.id}`, class: name === "delete" ? "danger" : "",
    "aria-label": `${action.label} ${run.name}`, onclick: (event) => act(name, run, event.currentTarget),
  }, action.label)));
}

function progress(run) {
  const found = details.get(run.id);
  if (!found?.progress) return isOpen(run) ? "…" : "–";
  const { ended, total, text } = found.progress;
  return el("div", { class: "progress-cell" },
    el("progress", { max: Math.max(total, 1), value: run.state === "finished" ? Math.max(total, 1) : ended, "aria-label": `Progress of ${run.name}` }),
    el("span", {}, text),
    found.waits ? el("span", { class: "no" }, `Waits: ${found.waits}`) : null);
}

function tick(run) {
  return el("input", {
    type: "checkbox", id: `tick-${run.id}`, checked: ticked.has(run.id), "aria-label": `Compare ${run.name}`,
    onchange: (event) => {
      if (event.target.checked) ticked.add(run.id);
      else ticked.delete(run.id);
      updateCompare();
    },
  });
}

function row(run) {
  const age = roughly(Date.now() - run.created_s * 1000);
  const best = details.get(run.id)?.progress?.best_percent;
  const about = [run.owner === page.user ? null : run.owner, run.public ? "public" : "private", `${age} ago`].filter(Boolean);
  const name = el("th", { scope: "row", class: "run-name" },
    el("a", { id: `open-${run.id}`, href: `/runs/${run.id}` }, run.name),
    el("span", { class: "hint" }, about.join(" · ")));
  const cells = [name, el("td", { class: "state" }, el("span", { class: `badge ${run.state}` }, STATES[run.state] ?? run.state)),
    el("td", {}, progress(run)), numberCell(percent(best))];
  if (!page.user) return cells;
  return [el("td", { class: "tick" }, tick(run)), ...cells, el("td", {}, isMine(run) ? buttons(run) : null)];
}

function updateCompare() {
  const button = byId("compare");
  if (!button) return;
  button.disabled = ticked.size < 2;
  button.textContent = ticked.size < 2 ? "Compare" : `Compare ${ticked.size}`;
}

function emptyText() {
  if (!page.user) return el("p", { class: "hint" }, "There are no public searches at the moment. Sign in to begin one.");
  return el("p", { class: "hint" }, "There are no searches yet. ", el("a", { href: "/data/new" }, "Upload your pictures"),
    ", then begin a search with them; or ", el("a", { href: "/runs/new?data=digits" }, "try one with the built-in digits"), ".");
}

/** Draws the list if something changed. The focus stays where it is. */
function draw(runs) {
  // Ages change all the time and are no reason to draw again, more often than each minute.
  const state = JSON.stringify([runs, runs.map((run) => details.get(run.id)?.progress), Math.floor(Date.now() / 60_000)]);
  if (state === shown) return;
  shown = state;
  byId("more").hidden = next === null;
  const begin = byId("begin-section");
  if (begin) begin.hidden = runs.some((run) => run.owner === page.user);
  if (byId("compare-hint")) byId("compare-hint").hidden = runs.length < 2;
  if (!runs.length) {
    fill("list", emptyText());
    return;
  }
  const focused = byId("list").contains(document.activeElement) ? document.activeElement.id : null;
  const heads = ["Search", "State", "Progress", "Best"];
  const made = table("List of searches", page.user ? [quietHead("Compare"), ...heads, quietHead("Actions")] : heads, runs.map(row));
  fill("list", stacked(numbersRight(made, page.user ? 4 : 3)));
  if (focused) byId(focused)?.focus();
  updateCompare();
}

async function detailsOf(runs) {
  const ended = runs.filter((run) => !isOpen(run)).slice(0, MAX_ENDED).filter((run) => details.get(run.id)?.state !== run.state);
  await Promise.all([...runs.filter(isOpen), ...ended].map(async (run) => {
    // One that moves to another genomaster, or was deleted meanwhile, is no reason not to show the others.
    const found = await fetchJson(`/v1/runs/${run.id}`, patience()).catch(() => null);
    if (found) details.set(run.id, found);
  }));
}

async function load() {
  try {
    const first = await fetchJson(`/v1/runs?limit=${PAGE_RUNS}`, patience());
    if (!older.length) next = first.next ?? null;
    const known = new Set(first.runs.map((run) => run.id));
    const runs = [...first.runs, ...older.filter((run) => !known.has(run.id))];
    if (!shown) draw(runs);
    await detailsOf(runs);
    draw(runs);
    if (byId("problem").dataset.from === "load") showTrouble(byId("problem"), null);
  } catch (problem) {
    byId("problem").dataset.from = "load";
    showTrouble(byId("problem"), problem);
  }
}

byId("more").addEventListener("click", (event) => busy(event.target, async () => {
  try {
    const answer = await fetchJson(`/v1/runs?limit=${PAGE_RUNS}&before=${next}`);
    older = [...older, ...answer.runs];
    next = answer.next ?? null;
    refresh();
  } catch (problem) {
    showTrouble(byId("problem"), problem);
  }
}));

byId("compare")?.addEventListener("click", () => {
  location.assign(`/compare?${[...ticked].map((id) => `run=${encodeURIComponent(id)}`).join("&")}`);
});

if (byId("miner-command")) {
  const identity = page.signed === "true" ? "--wallet.name WALLET --wallet.hotkey HOTKEY" : "--name NAME";
  fill("miner-command", el("pre", { tabIndex: 0, role: "region", "aria-label": "Command to run a miner" }, `miner --genomaster ${location.origin} ${identity}`));
}

const refresh = whileVisible(POLL_MS, load);
