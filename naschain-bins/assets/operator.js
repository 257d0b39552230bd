/** The page of the administrator: how the genomaster is, as numbers. */

import { byId, bytes, el, fetchJson, number, table } from "./dom.js";
import { fill, numberCell, numbersRight, patience, quietHead, quotaBytes, roughly, showTrouble, whileVisible, withCode } from "./account_parts.js";

const POLL_MS = 3_000;
/** Shares from which something is worth a warning. */
const FULL = 0.9;
/** Rows of the tables that may be long. */
const MAX_ROUTES = 40;
const MAX_MINERS = 200;

let problemSince = null;

/** What a genomaster does not know of a run that another one leads is `null`. */
const known = (value) => value !== null && value !== undefined;
const count = (value) => (known(value) ? value : numberCell("–"));
const isFull = (disk) => share(disk.total_bytes - disk.free_bytes, disk.total_bytes) >= FULL;
const share = (part, whole) => (whole ? part / whole : 0);
const sum = (rows, name) => rows.reduce((total, row) => total + (row[name] ?? 0), 0);
const rowHead = (...content) => el("th", { scope: "row" }, ...content);
const ms = (value) => (value >= 10 ? number(Math.round(value)) : value.toFixed(1));
const runLink = (run) => el("a", { href: `/runs/${run.id}` }, run.name);

function tile(name, value, note = "", isBad = false) {
  return el("div", { class: `tile ${isBad ? "bad" : ""}`.trim() },
    el("span", { class: "hint" }, name), el("strong", {}, value), el("span", { class: isBad ? "no" : "hint" }, note));
}

function showHealth(state) {
  const { disk, runs, routes } = state;
  const open = runs.filter((run) => ["running", "paused", "stopping"].includes(run.state));
  const here = state.miners.filter((miner) => miner.here);
  const requests = sum(routes, "requests");
  const errors = sum(routes, "errors");
  fill("health",
    tile("Version", state.version, `up ${roughly(state.uptime_s * 1000)}`),
    disk ? tile("Disk free", bytes(disk.free_bytes), `of ${bytes(disk.total_bytes)}, ${disk.path}`, isFull(disk)) : null,
    known(state.memory_bytes) ? tile("Memory", bytes(state.memory_bytes), "of this process") : null,
    tile("Searches", number(open.length), `open, of ${number(runs.length)}`),
    tile("Miners", number(here.length), `there, of ${number(state.miners.length)}`, open.length > 0 && here.length === 0),
    tile("Jobs", number(sum(runs, "open_jobs")), `open, ${number(sum(runs, "open_leases"))} leases`),
    runs.some((run) => known(run.waiting_requests)) ? tile("Waiting", number(sum(runs, "waiting_requests")), "requests for work") : null,
    tile("Checks", number(state.checks_waiting), "uploads waiting"),
    tile("Readers", number(sum(runs, "readers")), "of events"),
    tile("Errors", number(errors), `of ${number(requests)} requests`, share(errors, requests) > 0.05));
}

function warningsOf({ disk, runs, users, miners }) {
  const found = [];
  if (disk && isFull(disk)) {
    found.push(`The disk of ${disk.path} is nearly full: ${bytes(disk.free_bytes)} are left. `
      + "Journals cannot be written when it is full; delete searches or data sets, or give it more space.");
  }
  const leaderless = runs.filter((run) => run.state === "running" && !run.leader && !run.here);
  if (leaderless.length) found.push(`Nobody leads ${leaderless.map((run) => run.name).join(", ")}. Is a genomaster down?`);
  const isWork = runs.some((run) => run.state === "running");
  if (isWork && !miners.some((miner) => miner.here)) found.push("No miner is there, so the searches wait. Start some: `miner --genomaster URL`.");
  const full = users.filter((user) => user.used_hours >= user.max_hours && user.open_runs);
  if (full.length) {
    const names = full.map((user) => user.name).join(", ");
    found.push(`The processor hours of ${names} are used up, so their searches wait. \`genomaster user set NAME\` changes quotas.`);
  }
  return found;
}

function showRuns(runs) {
  const rows = runs.map((run) => [
    rowHead(runLink(run)), run.owner, el("span", { class: `badge ${run.state}` }, run.state),
    run.leader ?? (run.here ? "this one" : "–"), el("td", { class: "wide-text" }, run.progress ?? "–"),
    count(run.open_jobs), count(run.open_leases), count(run.readers), count(run.journal_events),
    numberCell(known(run.journal_bytes) ? bytes(run.journal_bytes) : "–"),
  ]);
  const heads = ["Search", "Owner", "State", "Leader", "Progress", "Open jobs", "Leases", "Readers", "Events", "Journal"];
  return numbersRight(table("Table of searches", heads, rows), 5, 6, 7, 8, 9);
}

/** Two numbers, used and allowed, with a mark where little is left. */
const quota = (used, most, shown) => numberCell(
  el("span", { class: share(used, most) >= FULL ? "no" : "" }, `${shown(used)} / ${shown(most)}`));

function showUsers(users) {
  const rows = users.map((user) => [
    rowHead(user.name), user.admin ? "administrator" : "",
    quota(user.open_runs, user.max_runs, number),
    quota(user.stored_bytes, user.max_bytes, quotaBytes),
    quota(user.used_hours, user.max_hours, (hours) => number(Math.round(hours * 10) / 10)),
  ]);
  return numbersRight(table("Table of users", ["User", quietHead("Role"), "Open searches", "Data", "Hours"], rows), 2, 3, 4);
}

/** Routes whose requests wait until there is something to answer: that they take long says nothing. */
const isWaiting = ({ route }) => /\/assignments\b|\/events\b/.test(route);
/** The bounds of the last two of the buckets in which times are counted. */
const [LAST_BUT_ONE_MS, LAST_MS] = [5_000, 30_000];

/** The time that 99 % of the requests did not exceed, which is known as the bound of a bucket. */
const boundText = (value) => (value >= LAST_MS ? `> ${number(LAST_BUT_ONE_MS)}` : `≤ ${value >= 10 ? number(Math.round(value)) : value}`);

function showRoutes(routes) {
  const slowest = [...routes].sort((a, b) => b.p99_ms - a.p99_ms || b.requests - a.requests);
  const waiting = slowest.filter(isWaiting);
  const others = slowest.filter((route) => !isWaiting(route)).slice(0, MAX_ROUTES);
  const rows = [...others, ...waiting].map((route) => [
    rowHead(el("code", {}, route.route), isWaiting(route) ? el("span", { class: "of" }, " (waits for work)") : ""), route.requests,
    numberCell(el("span", { class: route.errors ? "no" : "" }, number(route.errors))),
    numberCell(ms(route.mean_ms)), numberCell(boundText(route.p99_ms)),
  ]);
  return numbersRight(table("Table of routes", ["Route", "Requests", "Errors", "Mean, ms", "p99, ms"], rows), 1, 2, 3, 4);
}

function showMiners(miners, runs) {
  if (!miners.length) return el("p", { class: "hint" }, "No miner has joined yet.");
  const sorted = [...miners].sort((a, b) => Number(b.here) - Number(a.here) || a.miner.localeCompare(b.miner));
  const rows = sorted.slice(0, MAX_MINERS).map((miner) => {
    const run = runs.find((one) => one.id === miner.run);
    const works = run ? runLink(run) : miner.run?.slice(0, 8) ?? "waits for work";
    return [rowHead(el("span", { class: "genome" }, miner.miner)), miner.here ? el("span", { class: "good" }, "there") : "away", works];
  });
  const more = miners.length - rows.length;
  return [table("Table of miners", ["Miner", quietHead("Presence"), "Works for"], rows), more > 0 ? el("p", { class: "hint" }, `and ${number(more)} more`) : null];
}

function showMasters(masters) {
  const rows = masters.map((master) => [
    rowHead(master.is_this && master.name !== "this one" ? `${master.name} (this one)` : master.name),
    el("span", { class: "genome" }, master.address || "–"), master.runs,
  ]);
  return numbersRight(table("Table of genomasters", ["Name", "Address", "Leads"], rows), 2);
}

/** Replaces a part, unless somebody scrolls in it or has the focus there: a table must not move under the hand. */
function update(id, ...content) {
  const old = byId(id);
  const regions = [...old.querySelectorAll(".scroll")];
  const scrolled = regions.map((region) => region.scrollLeft);
  const links = [...old.querySelectorAll("a, .scroll")];
  const focused = links.indexOf(document.activeElement);
  fill(id, ...content);
  [...old.querySelectorAll(".scroll")].forEach((region, index) => { region.scrollLeft = scrolled[index] ?? 0; });
  if (focused >= 0) old.querySelectorAll("a, .scroll")[focused]?.focus({ preventScroll: true });
}

function show(state) {
  showHealth(state);
  const warnings = warningsOf(state);
  if (byId("warnings").dataset.shown !== warnings.join("\n")) {
    byId("warnings").dataset.shown = warnings.join("\n");
    fill("warnings", warnings.map((text) => el("p", { class: "notice" }, withCode(text))));
  }
  update("runs", state.runs.length ? showRuns(state.runs) : el("p", { class: "hint" }, "There are no searches."));
  update("masters", showMasters(state.genomasters));
  update("miners", showMiners(state.miners, state.runs));
  update("users", showUsers(state.users));
  update("routes", showRoutes(state.routes));
}

async function load() {
  try {
    show(await fetchJson("/v1/operator", patience()));
    problemSince = null;
    showTrouble(byId("problem"), null);
    byId("fresh").textContent = `As of ${new Date().toLocaleTimeString("en")}, every ${POLL_MS / 1000} s`;
  } catch (problem) {
    problemSince ??= new Date();
    // Not each time: a screen reader would read it every few seconds.
    if (byId("problem").hidden) showTrouble(byId("problem"), problem);
    byId("fresh").textContent = `No answer since ${problemSince.toLocaleTimeString("en")}: these numbers are old`;
  }
}

whileVisible(POLL_MS, load);
