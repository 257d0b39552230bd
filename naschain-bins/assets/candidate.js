/** The page of one candidate. */

import { fetchCandidate, showCandidate } from "./candidate_view.js";
import { byId, page } from "./dom.js";

const job = Number(location.pathname.match(/\/candidates\/(\d+)\/?$/)?.[1] ?? Number.NaN);
const run = document.title.replace(/ · NASChain$/, "");

/** Shows the link to a neighbour, if there is such a candidate. */
async function link(id, neighbour) {
  if (neighbour < 0) return;
  try {
    await fetchCandidate(neighbour);
  } catch {
    return;
  }
  Object.assign(byId(id), { href: `${page.base ?? ""}/candidates/${neighbour}`, hidden: false });
}

async function load() {
  document.title = `Candidate ${job} · ${run} · NASChain`;
  const candidate = await showCandidate(byId("candidate"), job);
  byId("reload").hidden = candidate?.state !== "open";
}

byId("back").href = page.base || "/";
byId("reload").addEventListener("click", load);
if (Number.isSafeInteger(job)) {
  load();
  link("previous", job - 1);
  link("next", job + 1);
} else {
  byId("candidate").textContent = "The address of this page has no number of a candidate. Go back to the run, and choose one.";
}
