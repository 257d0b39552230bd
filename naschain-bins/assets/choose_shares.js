/** Read-only links to a search: making, listing and revoking them. */

import { byId, el, fetchJson, page, send, table } from "./dom.js";
import { busy, confirmed, copyButton, date, fill, quietHead, showTrouble, stacked } from "./account_parts.js";

const path = `${page.api}/shares`;
/** Hexadecimal digits of a link's id that tell it apart from others. */
const DIGITS = 4;

/** Shows the links, the oldest first, and returns them with their names. Only their makers have seen their addresses. */
async function list() {
  const shares = await fetchJson(path);
  const named = shares.sort((a, b) => a.created_s - b.created_s).map((share, index) => ({ ...share, name: `Link ${index + 1}` }));
  const rows = named.map((share) => [
    el("th", { scope: "row" }, `${share.name} `, el("code", { class: "of" }, share.id.slice(0, DIGITS))), date(share.created_s),
    el("button", {
      type: "button", class: "danger", "aria-label": `Revoke the link ${share.name}`, onclick: (event) => revoke(share, event.currentTarget),
    }, "Revoke"),
  ]);
  fill("shares", rows.length
    ? stacked(table("List of links", ["Link", "Created", quietHead("Actions")], rows))
    : el("p", { class: "hint" }, "There are no links."));
  return named;
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
  const isSure = await confirmed({ title: `Revoke ${share.name}?`, text: "Who has it can no longer view the search.", action: "Revoke" });
  if (!isSure) return;
  await busy(button, () => attempt(async () => {
    await send("DELETE", `${path}/${encodeURIComponent(share.id)}`);
    byId("made-link").hidden = true;
    await list();
    byId("make-link").focus();
  }));
}

function showMade({ link }, name) {
  const address = new URL(link, location.origin).href;
  const code = el("code", { class: "secret" }, address);
  fill("made-link", el("p", {}, el("strong", {}, `${name}. `), "Copy it now; it is shown only once."), el("p", {}, code, " ", copyButton(address, code, "Copy the link")));
  byId("made-link").hidden = false;
}

/** Shows the links of the search. Only the page of who may change the search has a place for them. */
export async function showShares() {
  if (!byId("share-section")) return;
  byId("make-link").addEventListener("click", (event) => busy(event.currentTarget, () => attempt(async () => {
    const made = await send("POST", path);
    const { name } = (await list()).find((share) => share.id === made.id) ?? { name: "The new link" };
    showMade(made, name);
  })));
  byId("share-section").hidden = false;
  await attempt(list);
}
