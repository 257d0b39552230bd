/** Read-only links to a search: making, listing and revoking them. */

import { byId, el, fetchJson, page, send, table } from "./dom.js";
import { busy, confirmed, copyButton, date, fill, quietHead, showTrouble, stacked } from "./account_parts.js";

const path = `${page.api}/shares`;

async function list() {
  const shares = await fetchJson(path);
  const rows = shares.map((share) => [
    el("th", { scope: "row" }, el("code", {}, share.id)), date(share.created_s),
    el("button", {
      type: "button", class: "danger", "aria-label": `Revoke the link ${share.id}`, onclick: (event) => revoke(share, event.currentTarget),
    }, "Revoke"),
  ]);
  fill("shares", rows.length
    ? stacked(table("List of links", ["Link", "Made", quietHead("Actions")], rows))
    : el("p", { class: "hint" }, "There are no links."));
}

async function attempt(work) {
  try {
    await work();
    showTrouble(byId("share-problem"), null);
  } catch (problem) {
    showTrouble(byId("share-problem"), problem);
  }
}

async function revoke(share, button) {
  const isSure = await confirmed({ title: `Revoke the link ${share.id}?`, text: "Who has it cannot read the search any more.", action: "Revoke" });
  if (!isSure) return;
  await busy(button, () => attempt(async () => {
    await send("DELETE", `${path}/${encodeURIComponent(share.id)}`);
    byId("made-link").hidden = true;
    await list();
    byId("make-link").focus();
  }));
}

function showMade({ link }) {
  const address = new URL(link, location.origin).href;
  const code = el("code", { class: "secret" }, address);
  fill("made-link", el("p", {}, "Copy the link now; it is shown only once."), el("p", {}, code, " ", copyButton(address, code, "Copy the link")));
  byId("made-link").hidden = false;
}

/** Shows the links of the search. Only the page of who may change the search has a place for them. */
export async function showShares() {
  if (!byId("share-section")) return;
  byId("make-link").addEventListener("click", (event) => busy(event.currentTarget, () => attempt(async () => {
    showMade(await send("POST", path));
    await list();
  })));
  byId("share-section").hidden = false;
  await attempt(list);
}
