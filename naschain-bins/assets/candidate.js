/** The page of one candidate. */

import { fetchCandidate, showCandidate } from "./candidate_view.js";
import { byId, page } from "./dom.js";

const REFRESH_MS = 4_000;

const job = Number(location.pathname.match(/\/candidates\/(\d+)\/?$/)?.[1] ?? Number.NaN);
const run = document.title.replace(/ · NASChain$/, "");

function link(id, neighbour) {
  Object.assign(byId(id), { href: `${page.base ?? ""}/candidates/${neighbour}`, hidden: false });
}

async function load() {
  document.title = `Candidate ${job} · ${run} · NASChain`;
  const candidate = await showCandidate(byId("candidate"), job);
  if (job > 0) link("previous", job - 1);
  if (candidate?.has_next) link("next", job + 1);
  byId("reload").hidden = candidate?.state !== "open";
  if (candidate?.state === "open") loadWhenEnded();
}

/** Waits until the job has ended, and shows it anew. */
async function loadWhenEnded() {
  for (;;) {
    await new Promise((done) => setTimeout(done, REFRESH_MS));
    if (document.hidden) continue;
    const now = await fetchCandidate(job).catch(() => null);
    if (now && now.state !== "open") return load();
  }
}

byId("back").href = page.base || "/";
byId("reload").addEventListener("click", load);
if (Number.isSafeInteger(job)) {
  load();
} else {
  byId("candidate").textContent = "The address of this page has no number of a candidate. Go back to the run, and choose one.";
}
