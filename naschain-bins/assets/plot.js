/** Charts: plotly.js, loaded when the first chart is drawn, in the colours of the page. */

import { colour, el, page, si } from "./dom.js";

let library = null;

/** plotly.js, which is loaded at the first call. */
export function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  library ??= new Promise((loaded, failed) => {
    // With an element of this id and class plotly.js makes no style element, which the page may not
    // have; its rules are in style-plotly.css.
    document.head.append(el("meta", { id: "plotly.js-style-global", class: "no-inline-styles" }));
    const script = el("script", { src: page.plotly ?? `${page.assets}/plotly.js` });
    script.onload = () => loaded(window.Plotly);
    script.onerror = () => {
      script.remove();
      library = null;
      failed(new Error("The charting library could not be loaded. Reload the page."));
    };
    document.head.append(script);
  });
  return library;
}

/** The element of a chart, with a name for screen readers. */
export function chart(label, properties = {}) {
  return el("div", { class: "chart", role: "figure", "aria-label": label, ...properties });
}

/** The colours from low to high values. */
export const scale = () => [[0, colour("low")], [0.5, colour("middle")], [1, colour("high")]];

/** Distinct colours of categories. */
export const categories = () => ["test", "front", "middle", "high", "low", "dot"].map(colour);

/** Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten, all of them labelled. */
function logTicks() {
  const tickvals = Array.from({ length: 19 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
  return { tickvals, ticktext: tickvals.map((value) => si(value).replace(" ", "")) };
}

/** The axis of numbers: SI suffixes and the colours of the page. */
export function axis(title, more = {}) {
  return {
    title: { text: title }, gridcolor: colour("line"), zerolinecolor: colour("line"), automargin: true,
    exponentformat: "SI", ...(more.type === "log" ? logTicks() : {}), ...more,
  };
}

/** An axis of run time in milliseconds, with ticks in seconds, minutes, hours or days. */
export function timeAxis(record, from, to, more = {}) {
  if (!record.facts.has_times) return axis("evaluations", more);
  const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]];
  const [unit, size] = units.find(([, size]) => to - from > 2 * size) ?? units[3];
  const step = niceStep((to - from) / size / 6);
  const tickvals = [];
  for (let at = Math.ceil(from / size / step) * step; at * size <= to && tickvals.length < 30; at += step) tickvals.push(at);
  return axis(`run time (${unit})`, {
    tickvals: tickvals.map((at) => at * size), ticktext: tickvals.map((at) => String(Number(at.toPrecision(6)))), ...more,
  });
}

/** The nearest number above of 1, 2 or 5 times a power of ten. */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-6)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? power;
}

/** A text of users for a chart, where it would be read as markup. */
export const plain = (text) => text.replaceAll("<", "‹");

function themed(layout) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("text"), family: "system-ui, sans-serif" },
    margin: { l: 60, r: 16, t: 44, b: 48 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("test") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("strong-line"), font: { color: colour("text") } },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    hovermode: "closest",
    ...layout,
  };
}

/**
 * Draws traces into the element of a chart, or redraws them. A zoom is kept as long as
 * `layout.uirevision` stays the same.
 */
export async function draw(element, traces, layout, { hasModebar = true } = {}) {
  const Plotly = await plotly();
  const config = { responsive: true, displaylogo: false, displayModeBar: hasModebar && innerWidth > 600 ? "hover" : false };
  // A chart that was hidden while the window changed has the old width.
  const isNew = !element.classList.contains("js-plotly-plot");
  await Plotly.react(element, traces, themed({ uirevision: "kept", ...layout }), config);
  const box = element.getBoundingClientRect();
  if (!isNew && box.width > 0 && Math.abs(box.width - (element._fullLayout?.width ?? box.width)) > 1) await Plotly.Plots.resize(element);
}

/** Calls back with the `customdata` of a point that is clicked. */
export function onPointClick(element, chosen) {
  if (element.isListening) return;
  element.isListening = true;
  element.on("plotly_click", ({ points }) => {
    const value = points.map((point) => point.customdata).find((value) => value !== undefined && value !== null);
    if (value !== undefined) chosen(value);
  });
}
