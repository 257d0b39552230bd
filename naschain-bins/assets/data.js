/** The data sets that the user may use, and uploads that are not data sets yet. */

import { byId, bytes, el, fetchJson, page, send, table } from "./dom.js";
import {
  busy, confirmed, fill, inParts, numberCell, numbersRight, patience, quietHead, reveal, say, showTrouble, stacked, whileVisible,
} from "./account_parts.js";

const POLL_MS = 5_000;

let shown = "";

async function remove(path, question, said, button) {
  if (!(await confirmed({ ...question, action: "Delete it" }))) return;
  await busy(button, async () => {
    try {
      await send("DELETE", path);
      showTrouble(byId("problem"), null);
      say("status", said);
    } catch (problem) {
      showTrouble(byId("problem"), problem);
      reveal(byId("problem"));
    }
  });
  refresh();
}

function setRow(data) {
  const path = `/data/${data.digest}`;
  const about = [data.owner === page.user ? null : `of ${data.owner}`, data.public ? "public" : "private", data.licence].filter(Boolean);
  const mine = data.owner === page.user && el("button", {
    type: "button", class: "danger", id: `delete-${data.digest}`, "aria-label": `Delete ${data.name}`,
    onclick: (event) => remove(`/v1/data-sets/${data.digest}`, {
      title: `Delete ${data.name}?`,
      text: "The data set is deleted here. Searches on it have to be deleted first; those of other users keep it.",
    }, `${data.name} is deleted.`, event.currentTarget),
  }, "Delete");
  return [
    el("th", { scope: "row", class: "run-name" },
      el("a", { href: path, id: `open-${data.digest}` }, data.name), el("span", { class: "hint" }, about.join(" · "))),
    data.classes, data.train_images, data.test_images, numberCell(data.kind.replace(/^folder-/, "")), numberCell(bytes(data.bytes)),
    el("td", {}, el("div", { class: "row-actions" },
      el("a", {
        class: "button", id: `use-${data.digest}`, href: `/runs/new?data=${data.digest}`, "aria-label": `Search for networks with ${data.name}`,
      }, "Search"), mine || null)),
  ];
}

const UPLOAD_STATES = { receiving: "not complete", checking: "being read", stored: "stored", refused: "refused" };

function uploadRow(upload) {
  const remaining = upload.state === "receiving"
    ? el("span", {}, `${bytes(upload.offset)} of ${bytes(upload.bytes)} `, el("a", { href: "/data/new" }, "Choose the same folder again"), " to go on.")
    : upload.state === "refused" ? el("div", { class: "no parts" }, inParts(upload.problem ?? "")) : bytes(upload.bytes);
  const result = upload.data ? el("a", { href: `/data/${upload.data}` }, upload.name) : upload.name;
  return [
    el("th", { scope: "row" }, result),
    el("td", {}, el("span", { class: `badge ${upload.state}` }, UPLOAD_STATES[upload.state] ?? upload.state)),
    remaining,
    el("button", {
      type: "button", class: "danger", id: `cancel-${upload.id}`, "aria-label": `Delete the upload ${upload.name}`,
      onclick: (event) => remove(`/v1/uploads/${upload.id}`, {
        title: `Delete the upload ${upload.name}?`, text: "What has arrived is deleted. A data set that was made of it stays.",
      }, "The upload is deleted.", event.currentTarget),
    }, "Delete"),
  ];
}

function draw(sets, uploads) {
  const state = JSON.stringify([sets, uploads]);
  if (state === shown) return;
  shown = state;
  const focused = document.activeElement?.id;
  const open = uploads.filter((upload) => upload.state !== "stored");
  byId("uploads-section").hidden = !open.length;
  fill("uploads", stacked(table("List of uploads", ["Name", quietHead("State"), quietHead("What is next"), quietHead("Actions")], open.map(uploadRow))));
  if (!sets.length) {
    fill("sets", el("p", {}, "You have no data sets yet."),
      el("p", { class: "actions" }, el("a", { class: "button primary", href: "/data/new" }, "Upload your pictures"), " ",
        el("a", { class: "button", href: "/runs/new?data=digits" }, "Try the built-in digits")));
  } else {
    const heads = ["Name", "Classes", "Training pictures", "Test pictures", "Size of pictures", "Bytes", quietHead("Actions")];
    fill("sets", stacked(numbersRight(table("List of data sets", heads, sets.map(setRow)), 1, 2, 3, 4, 5)));
  }
  if (focused) byId(focused)?.focus();
}

async function load() {
  try {
    const [sets, uploads] = await Promise.all([fetchJson("/v1/data-sets", patience()), fetchJson("/v1/uploads", patience())]);
    draw(sets, uploads);
    if (byId("problem").dataset.from === "load") showTrouble(byId("problem"), null);
    byId("problem").dataset.from = "";
  } catch (problem) {
    byId("problem").dataset.from = "load";
    showTrouble(byId("problem"), problem);
  }
}

const refresh = whileVisible(POLL_MS, load);
