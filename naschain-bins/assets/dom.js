/** What all pages share: elements, requests, numbers in words. */

/** The settings that the server wrote on the body element. */
export const page = document.body.dataset;

/** Whether this page is a report in one file, without a server. */
export const isStatic = () => "static" in page;

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element. Properties are set as such, `class` and names with a hyphen as attributes, and
 * functions whose name begins with "on" as event listeners; children are nodes or texts.
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class" || name.includes("-") || !(name in made)) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** A table with a caption for screen readers; cells are texts or nodes, numbers are right-aligned. */
export function table(caption, heads, rows) {
  const cell = (tag, content) => (content instanceof Node && /^T[DH]$/.test(content.tagName) ? content
    : el(tag, typeof content === "number" ? { class: "number" } : {}, typeof content === "number" ? number(content) : content ?? ""));
  return el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    el("table", {},
      el("caption", { class: "visually-hidden" }, caption),
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((content) => cell("td", content)))))));
}

/** A failed request: `detail` says what is wrong and what would be right. */
export class Problem extends Error {
  constructor(status, kind, detail) {
    super(detail);
    Object.assign(this, { status, kind, detail });
  }
}

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Problem(0, "unreachable", "The genomaster cannot be reached. Check the connection, and try again.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Problem(response.status, problem.type, problem.detail ?? `The genomaster answered with status ${response.status}.`);
}

/** GET of a JSON document. Throws a `Problem`. */
export async function fetchJson(path, options = {}) {
  return (await answered(fetch(path, { credentials: "same-origin", ...options }))).json();
}

/** A request that changes something, with a JSON body if there is one. Returns the JSON of the response, or `null`. */
export async function send(method, path, body) {
  const options = { method, credentials: "same-origin" };
  if (body !== undefined) Object.assign(options, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  const text = await (await answered(fetch(path, options))).text();
  return text ? JSON.parse(text) : null;
}

/** A request with any body; returns the response. Throws a `Problem`. */
export const sendRaw = (path, options) => answered(fetch(path, { credentials: "same-origin", ...options }));

/** Shows what went wrong in an element with `role="alert"`; nothing, if there is no problem. */
export function showProblem(element, problem) {
  element.hidden = !problem;
  element.textContent = problem ? (problem.detail ?? String(problem.message ?? problem)) : "";
}

const inGroups = new Intl.NumberFormat("en");
export const number = (value) => inGroups.format(value);
export const percent = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(2)} %`);
export const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** A number with an SI suffix and three digits, such as 1.23 M. */
export function si(value) {
  if (value === null || value === undefined) return "–";
  const steps = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  const [size, suffix] = steps.find(([size]) => Math.abs(value) >= size) ?? [1, ""];
  return `${Number((value / size).toPrecision(3))}${suffix ? ` ${suffix}` : ""}`;
}

/** A duration such as 1 h 05 min, 2 min 05 s or 3.2 s. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const s = ms / 1000;
  if (s < 10) return `${Number(s.toFixed(1))} s`;
  if (s < 90) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const minutes = Math.round(s / 60);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 48) return `${hours} h ${String(rest).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A size such as 3.4 MB. */
export const bytes = (value) => (value < 1000 ? `${value} B` : `${si(value)}B`);

/** The value of a colour variable of style.css, for charts. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A genome in groups of one phase each, as the programs read it. */
export function grouped(genome, phaseLength) {
  return phaseLength ? genome.match(new RegExp(`.{1,${phaseLength}}`, "g"))?.join("-") ?? genome : genome;
}
