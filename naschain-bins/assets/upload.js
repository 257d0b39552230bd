/** The page to upload a folder of pictures or an archive. */

import { byId, bytes, counted, el, fetchJson, number, page, send, table } from "./dom.js";
import {
  busy, confirmed, fill, inParts, markField, numberCell, numbersRight, roughly, say, sentence, showTrouble, signInPath, withCode,
} from "./account_parts.js";
import { filesOfDrop, filesOfInput, inspect, testShare } from "./upload_folder.js";
import { Transfer } from "./upload_transfer.js";
import { makeZip } from "./zip.js";

/** Classes that are listed before the rest is folded away. */
const MAX_CLASSES = 200;
const MAX_LEFT_OUT = 20;

/** What was chosen, and the upload of the same file that was interrupted, if any. */
let chosen = null;
let interrupted = null;
let transfer = null;
let packing = null;

/** What was chosen last: a slow look into an earlier folder must not replace it. */
let choices = 0;

async function choose(listed) {
  if (transfer || packing) return;
  choices += 1;
  const choice = choices;
  const say = (text) => { byId("choose-status").textContent = text; };
  showTrouble(byId("choose-problem"), null);
  say("Looking into the folder …");
  try {
    const files = await listed;
    if (!files.length) throw new Error("The folder is empty, or nothing was chosen. Choose a folder with pictures.");
    const found = await inspect(files);
    const uploads = await fetchJson("/v1/uploads").catch(() => []);
    if (choice !== choices) return;
    chosen = found;
    say("");
    showFound();
    showInterrupted(uploads);
  } catch (problem) {
    if (choice !== choices) return;
    unchoose();
    say("");
    showTrouble(byId("choose-problem"), problem);
  }
}

/** An earlier choice must not be uploaded by somebody who believes to have made another one. */
function unchoose() {
  chosen = interrupted = null;
  for (const id of ["found-section", "settings-section", "progress-section"]) byId(id).hidden = true;
}

const classCount = (count) => `${number(count)} ${count === 1 ? "class" : "classes"}`;

/** What was chosen, in a line. */
function headline() {
  const { kind, file, classes, pictures } = chosen;
  const name = kind === "archive" ? file.name : chosen.name || "The folder";
  if (!classes) return name;
  const used = classes.reduce((sum, one) => sum + one.train + one.test, 0);
  // Pictures of which none is in the folder of a class are there all the same.
  return used ? `${name}: ${counted(used, "picture")} in ${classCount(classes.length)}` : `${name}: ${counted(pictures, "picture")}`;
}

function showFound() {
  const { kind, file, files, pictureBytes, classes, hasTest, leftOut, problems, warnings } = chosen;
  const used = kind === "folder" ? files.reduce((sum, one) => sum + one.file.size, 0) : file.size;
  const total = used || pictureBytes;
  const what = headline();
  fill("found",
    el("p", {}, el("strong", {}, what), `, ${bytes(total)}`),
    problems.map((text) => el("p", { class: "problem" }, withCode(text))),
    warnings.map((text) => el("p", { class: "notice" }, text)),
    leftOut.length ? leftOutList(leftOut) : null,
    classes === null ? el("p", { class: "hint" }, "The genomaster reads the classes when the file has arrived.") : null,
    classes?.length ? classTable(classes, hasTest) : null);
  byId("found-section").hidden = false;
  byId("settings-section").hidden = problems.length > 0;
  byId("progress-section").hidden = true;
  if (!problems.length) byId("name").value = chosen.name.slice(0, 100) || "pictures";
  byId("found-section").focus();
}

function leftOutList(leftOut) {
  const list = leftOut.slice(0, MAX_LEFT_OUT).map(({ path, reason }) => el("li", {}, el("code", {}, path), `: ${reason}`));
  if (leftOut.length > MAX_LEFT_OUT) list.push(el("li", {}, `and ${number(leftOut.length - MAX_LEFT_OUT)} more`));
  const reasons = [...new Set(leftOut.map(({ reason }) => reason))];
  const count = (reason) => leftOut.filter((one) => one.reason === reason).length;
  const counts = reasons.map((reason) => (reasons.length > 1 ? `${reason} (${number(count(reason))})` : reason));
  const text = `${counted(leftOut.length, "file")} will be left out: ${counts.join(", ")}`;
  return el("details", { class: "notice" }, el("summary", {}, text), el("ul", {}, list));
}

function classTable(classes, hasTest) {
  const rows = classes.slice(0, MAX_CLASSES).map((one) => [
    el("th", { scope: "row", class: "class-name" }, one.name),
    numberCell(number(hasTest ? one.train : one.train - testShare(one, hasTest))), numberCell(number(testShare(one, hasTest))),
  ]);
  const made = numbersRight(table("Classes found", ["Class", "To learn from", "For the test"], rows), 1, 2);
  made.classList.add("low");
  const more = classes.length - rows.length;
  return el("div", {}, made, more > 0 ? el("p", { class: "hint" }, `and ${classCount(more)} more`) : null);
}

/** Offers to go on with an upload of the same file. Its settings are at the genomaster already. */
function showInterrupted(uploads) {
  const size = chosen.kind === "archive" ? chosen.file.size : null;
  interrupted = uploads.find((one) => one.state === "receiving" && one.file_name === chosen.fileName && (size === null || one.bytes === size)) ?? null;
  byId("interrupted").hidden = !interrupted;
  byId("fields").disabled = Boolean(interrupted);
  byId("begin").textContent = interrupted ? "Go on with the upload" : "Upload";
  if (!interrupted) return;
  byId("name").value = interrupted.name;
  fill("interrupted",
    el("p", {}, `An upload of these files was interrupted after ${bytes(interrupted.offset)} of ${bytes(interrupted.bytes)}. `,
      "It goes on there, with the settings that it began with."),
    el("p", {}, el("button", { type: "button", onclick: (event) => busy(event.target, forget) }, "Begin again with other settings")));
}

async function forget() {
  try {
    await send("DELETE", `/v1/uploads/${interrupted.id}`);
    showInterrupted([]);
    byId("name").focus();
  } catch (problem) {
    showTrouble(byId("problem"), problem);
  }
}

/** Packs a folder; an archive is sent as it is. */
async function packed() {
  if (chosen.kind === "archive") return chosen.file;
  const total = chosen.files.reduce((sum, one) => sum + one.file.size, 0);
  say("spoken", "Reading the pictures.");
  return makeZip(chosen.files, {
    signal: packing.signal,
    onRead: (read) => {
      byId("bar").value = total ? read / total : 0;
      byId("figures").textContent = `Reading the pictures: ${bytes(read)} of ${bytes(total)}`;
    },
  });
}

function described(size) {
  const imageSize = byId("size").value.trim();
  const wanted = {
    name: byId("name").value.trim(), file_name: chosen.fileName, bytes: size, licence: byId("licence").value.trim(),
    public: byId("public").checked, skip_bad: byId("skip-bad").checked,
  };
  // Arrays of NumPy have a size of their own.
  return imageSize && !/\.npz$/i.test(chosen.fileName) ? { ...wanted, image_size: imageSize } : wanted;
}

async function begun(blob) {
  if (interrupted?.bytes === blob.size) return interrupted;
  return send("POST", "/v1/uploads", described(blob.size));
}

async function upload() {
  packing = new AbortController();
  setSending(true);
  try {
    const blob = await packed();
    const info = await begun(blob);
    transfer = new Transfer(info, blob, { onProgress: showProgress, onWait: showWait });
    showEnd(await transfer.run());
  } catch (problem) {
    if (packing.signal.aborted) {
      showEnd(null);
      return;
    }
    const where = transfer ? "transfer-problem" : "problem";
    if (!transfer) setSending(false);
    if (!isAboutSize(problem)) showTrouble(byId(where), problem);
    byId("pause").hidden = true;
    if (transfer) byId("interrupted").hidden = true;
    endTransfer();
  } finally {
    packing = null;
  }
}

/** Whether a refusal is about the image size; then the field itself says so. */
function isAboutSize(problem) {
  if (problem.status !== 422 || !/^image_size/.test(problem.detail ?? "")) return false;
  markField(byId("size"), sentence(problem.detail.replace(/^image_size: /, "")));
  byId("size").focus();
  return true;
}

/** The hint that an upload can go on later. */
const laterHint = () => document.querySelector("#progress-section > .hint");

function setSending(isSending) {
  laterHint().hidden = false;
  byId("progress-section").hidden = !isSending;
  for (const id of ["choose", "settings-section"]) byId(id).inert = isSending;
  showTrouble(byId("problem"), null);
  showTrouble(byId("transfer-problem"), null);
  markField(byId("size"), null);
  byId("waiting").hidden = true;
  byId("bar").value = 0;
  byId("bar").hidden = false;
  byId("pause").hidden = !isSending;
  byId("cancel").hidden = !isSending;
  byId("pause").textContent = "Pause";
  if (isSending) byId("progress-section").focus();
}

/** After a transfer that cannot go on: the choice is possible again. */
function endTransfer() {
  transfer = null;
  for (const id of ["choose", "settings-section"]) byId(id).inert = false;
  byId("cancel").hidden = true;
  byId("bar").hidden = true;
  laterHint().hidden = true;
  byId("figures").textContent = "";
}

function showProgress({ offset, bytes: size, rate, left_ms, isChecking }) {
  byId("waiting").hidden = true;
  if (isChecking) {
    byId("bar").removeAttribute("value");
    byId("figures").textContent = "The genomaster reads and checks the pictures. This can take minutes.";
    say("spoken", "All pictures have arrived. The genomaster checks them.");
    byId("pause").hidden = true;
    return;
  }
  byId("bar").value = offset / size;
  const parts = [`${bytes(offset)} of ${bytes(size)}`];
  if (rate) parts.push(`${bytes(Math.round(rate))}/s`);
  if (left_ms !== null && offset < size) parts.push(`about ${roughly(left_ms)} left`);
  byId("figures").textContent = parts.join(" · ");
  // Each tenth only: a screen reader would not stop talking.
  say("spoken", `${10 * Math.floor((10 * offset) / size)} % uploaded`);
}

function showWait(problem, seconds, failures) {
  const text = `${sentence(problem.detail ?? problem.message)} Next attempt in ${counted(Math.ceil(seconds), "second")}.`;
  fill("waiting", el("span", {}, failures > 3 ? `${text} Nothing is lost: what has arrived stays.` : text));
  byId("waiting").hidden = false;
}

/** What to do about a refusal. Only single pictures that cannot be read can be skipped. */
function advice(text) {
  if (/--skip-bad/.test(text)) return "Fix or remove these files, or tick “Skip unreadable pictures” above; then upload again.";
  if (/archive|\.npz|unpack/i.test(text)) return "The archive may be damaged or incomplete. Copy it or pack it again, and choose it again.";
  return "Change the folder or the settings above, and choose it again.";
}

function showRefusal(text) {
  // The genomaster names flags of its command line.
  const inWords = text.replace(/[,;] (remove them, )?or leave them out with --skip-bad/, "").replaceAll("--skip-bad", "“Skip unreadable pictures”")
    .replaceAll("--image-size", "image size").replace(/^the archive: /, "");
  fill("transfer-problem",
    el("p", {}, el("strong", {}, "The pictures cannot be used.")), el("div", { class: "parts" }, inParts(inWords)), el("p", {}, advice(text)));
  byId("transfer-problem").hidden = false;
}

/** `null`: cancelled. */
function showEnd(info) {
  if (info?.state === "stored") {
    byId("bar").value = 1;
    say("spoken", "The data set is stored.");
    transfer = packing = null;
    location.assign(`/data/${info.data}`);
    return;
  }
  endTransfer();
  byId("pause").hidden = true;
  if (!info) {
    setSending(false);
    byId("begin").focus();
    return;
  }
  showRefusal(info.problem ?? "The genomaster refused the file");
  // What was refused would only count among the uploads.
  send("DELETE", `/v1/uploads/${info.id}`).catch(() => {});
  showInterrupted([]);
}

async function cancel() {
  const isSure = !transfer || await confirmed({ title: "Cancel the upload?", text: "What has arrived is deleted.", action: "Cancel the upload" });
  if (!isSure) return;
  packing?.abort();
  const ended = transfer;
  ended?.cancel();
  await ended?.delete();
  showInterrupted([]);
}

function togglePause() {
  if (!transfer) return;
  if (transfer.isPaused) transfer.resume();
  else transfer.pause();
  byId("pause").textContent = transfer.isPaused ? "Go on" : "Pause";
  byId("waiting").hidden = true;
  if (transfer.isPaused) byId("figures").textContent += " · paused";
  say("spoken", transfer.isPaused ? "Paused" : "Goes on");
}

byId("settings").addEventListener("submit", (event) => {
  event.preventDefault();
  if (transfer || packing) return;
  if (!byId("name").value.trim()) {
    showTrouble(byId("problem"), { detail: "Give the data set a name." });
    byId("name").focus();
    return;
  }
  upload();
});
for (const id of ["folder", "archive"]) {
  byId(id).addEventListener("change", (event) => {
    choose(Promise.resolve(filesOfInput(event.target)));
    // The same folder can be chosen again.
    event.target.value = "";
  });
}
// A drop beside the field would open the file instead of the page.
addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("drop").classList.toggle("over", !transfer && !packing);
});
addEventListener("dragleave", () => byId("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  choose(filesOfDrop(event.dataTransfer));
});
byId("pause").addEventListener("click", togglePause);
byId("cancel").addEventListener("click", (event) => busy(event.target, cancel));
addEventListener("online", () => { if (transfer && !transfer.isPaused) transfer.resume(); });
addEventListener("beforeunload", (event) => { if (transfer || packing) event.preventDefault(); });
if (!page.user) location.replace(signInPath());
