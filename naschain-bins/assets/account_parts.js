/** What the pages of users and operators share: questions in a dialog, problems, polling, small elements. */

import { byId, bytes, el, page, si } from "./dom.js";

let questions = 0;

/**
 * Asks before something that cannot be undone. The promise becomes `true` if the button `action` was
 * pressed. The first focus is on "Cancel", so that Enter alone changes nothing.
 */
export function confirmed({ title, text, action, isDangerous = true }) {
  questions += 1;
  const id = `question-${questions}`;
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "question", "aria-labelledby": id, "aria-describedby": `${id}-text` },
      el("form", { method: "dialog" },
        el("h2", { id }, title),
        el("p", { id: `${id}-text` }, text),
        el("div", { class: "actions" },
          el("button", { value: "no", autofocus: true }, "Cancel"),
          el("button", { value: "yes", class: isDangerous ? "danger" : "primary" }, action))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** The path to sign in and come back to this page. */
export const signInPath = () => `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;

/** Shows what went wrong in an element with `role="alert"`, with the way to sign in where that is missing. */
export function showTrouble(element, problem) {
  element.hidden = !problem;
  element.replaceChildren();
  if (!problem) return;
  if (problem.status === 401) element.append(...signedOut());
  else element.append(...inParts(problem.detail ?? String(problem.message ?? problem)));
}

/** What is said when a session has ended while its page was open. The genomaster's own text is for programs, which have tokens. */
function signedOut() {
  // In another tab where something may have been typed: it is still here afterwards.
  const isTyped = document.querySelector("main form") !== null;
  const link = el("a", isTyped ? { href: signInPath(), target: "_blank" } : { href: signInPath() }, "Sign in");
  return [page.user ? "You have been signed out. " : "", link, isTyped ? " to go on (in a new tab; what you have typed stays here)." : " to go on."];
}

/** A text of the genomaster as a sentence: these begin in lower case and have no full stop. */
export function sentence(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  // A first word with other characters is the name of a setting or a file; that of the user stays as it is, too.
  const [first] = trimmed.match(/^[a-z]+(?=[ ,:])/) ?? [];
  const begun = first && first !== page.user ? trimmed[0].toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?:…]$/.test(begun) ? begun : `${begun}.`;
}

/** A text of the genomaster, whose lines after the first are a list, such as of files. */
export function inParts(text) {
  const lines = text.trim().split("\n").map((line) => line.trim().replace(/^the archive\//, ""));
  const [first, ...others] = lines.filter(Boolean);
  if (!first) return [];
  if (!others.length) return withCode(sentence(first));
  return [el("p", {}, withCode(sentence(first))), el("ul", {}, others.map((line) => el("li", {}, withCode(line))))];
}

/** Says beside a field of a form what is wrong with it; `null` if nothing is. */
export function markField(field, text) {
  const id = `${field.id}-problem`;
  const described = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((one) => one && one !== id);
  byId(id)?.remove();
  field.removeAttribute("aria-errormessage");
  if (text) {
    field.setAttribute("aria-invalid", "true");
    described.push(id);
    (field.closest("label") ?? field).after(el("p", { id, class: "problem at-field" }, withCode(text)));
  } else {
    field.removeAttribute("aria-invalid");
  }
  if (described.length) field.setAttribute("aria-describedby", described.join(" "));
  else field.removeAttribute("aria-describedby");
}

/** The parts of a text, with what is between backticks as code. */
export const withCode = (text) => text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));

/** Makes sure that a problem in a part of the page is seen also where the page is scrolled elsewhere. */
export function reveal(element) {
  if (!element.hidden) element.scrollIntoView({ block: "nearest" });
}

/** Runs `work` with a button disabled, so that a second press does not send the request twice. */
export async function busy(button, work) {
  button.disabled = true;
  try {
    return await work();
  } finally {
    button.disabled = false;
  }
}

/**
 * Calls `work` now and every `ms` while the page is visible, one call at a time. Returns a function that calls
 * it at once.
 */
export function whileVisible(ms, work) {
  let timer = null;
  let isWorking = false;
  let isWanted = false;
  const turn = async () => {
    clearTimeout(timer);
    if (isWorking) {
      isWanted = true;
      return;
    }
    isWorking = true;
    try {
      await work();
    } finally {
      isWorking = false;
    }
    const wait = isWanted ? 0 : ms;
    isWanted = false;
    if (!document.hidden) timer = setTimeout(turn, wait);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else turn();
  });
  turn();
  return turn;
}

/** Options of a request that is asked again and again: one that hangs must not be the last. */
export const patience = () => ({ cache: "no-store", signal: AbortSignal.timeout(15_000) });

/** Puts texts and nodes into an element of the page. */
export function fill(id, ...content) {
  byId(id).replaceChildren(...content.flat().filter((part) => part !== null && part !== undefined));
}

/** Says something to screen readers, and to the eye, in an element with `role="status"`. */
export function say(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** A button that copies a text. Where the clipboard is closed to pages, as without https, it selects the text instead. */
export function copyButton(text, source, label = "Copy") {
  const said = el("span", { role: "status", class: "hint" });
  const button = el("button", {
    type: "button",
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        said.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        said.textContent = "Selected: copy it with Ctrl+C";
      }
      setTimeout(() => { said.textContent = ""; }, 4000);
    },
  }, label);
  return el("span", { class: "copy" }, button, " ", said);
}

/** A duration as people say it: 6 s, 14 min, 1 h 30 min or 3 days. */
export function roughly(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 48) return rest ? `${hours} h ${rest} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** FLOPs such as 734 kFLOPs. */
export const flopsText = (value) => (value < 1000 ? `${Math.round(value)} FLOPs` : `${si(value)}FLOPs`);

const GIB = 2 ** 30;

/** How much of a quota is used. Quotas are given in GiB, so both are in units of two's powers. */
export function quotaBytes(value) {
  if (value >= GIB) return `${Number((value / GIB).toPrecision(3))} GiB`;
  if (value >= 2 ** 20) return `${Number((value / 2 ** 20).toPrecision(3))} MiB`;
  return value >= 1024 ? `${Number((value / 1024).toPrecision(3))} KiB` : bytes(value);
}

/** A date and time in the reader's own zone, from seconds since 1970. */
export function date(seconds) {
  const at = new Date(seconds * 1000);
  const shown = at.toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return el("time", { dateTime: at.toISOString() }, shown);
}

/** A horizontal bar of this share, 0 to 1; the number beside it says the same to screen readers. */
export function bar(share, kind = "") {
  const inner = el("span", { class: "bar-inner" });
  inner.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  return el("span", { class: `bar-outer ${kind}`.trim(), "aria-hidden": "true" }, inner);
}

/** Right-aligns the heads of the columns of numbers of a table of dom.js, and returns it. */
export function numbersRight(region, ...columns) {
  const heads = region.querySelectorAll("thead th");
  for (const column of columns) heads[column].classList.add("number");
  return region;
}

/**
 * Makes a table of dom.js one whose rows become cards where the window is narrow. The roles stay those of
 * a table, which browsers drop with its layout.
 */
export function stacked(region) {
  const table = region.querySelector("table");
  const heads = [...table.querySelectorAll("thead th")];
  region.classList.add("stacks");
  table.setAttribute("role", "table");
  for (const part of table.querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
  for (const head of heads) head.setAttribute("role", "columnheader");
  for (const row of table.querySelectorAll("tr")) row.setAttribute("role", "row");
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.children].forEach((cell, index) => {
      cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
      const head = heads[index];
      // Heads that only screen readers get say nothing that the cell does not show.
      cell.dataset.head = head.querySelector(".visually-hidden") ? "" : head.textContent;
    });
  }
  return region;
}

/** The head of a column whose cells show what they are. */
export const quietHead = (text) => el("span", { class: "visually-hidden" }, text);

/** A cell for something that is a number with a unit, or for a missing one. */
export const numberCell = (...content) => el("td", { class: "number" }, ...content);
