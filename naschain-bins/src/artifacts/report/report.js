"use strict";
const run = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// A retraining is measured on the test images, and has no validation accuracy.
const isValidated = run.measured_on === "validation";
// SI suffixes with at most three digits, whole numbers, or hundredths of a percentage point.
const axes = {
  params: { label: "parameters", format: ".3~s", of: (n) => n.params },
  flops: { label: "FLOPs", format: ".3~s", of: (n) => n.flops },
  accuracy: { label: `${run.measured_on} accuracy (%)`, format: ".2~f", of: (n) => n.accuracy },
  test: { label: "test accuracy (%)", format: ".2~f", of: (n) => n.test_accuracy },
  nodes: { label: "nodes", format: ".3~r", of: (n) => n.nodes },
  evaluation: { label: "evaluation", format: "~r", of: (n) => n.evaluation },
};
const costs = ["params", "flops"];
const options = { responsive: true, displaylogo: false, displayModeBar: innerWidth > 600 };
const plain = { responsive: true, displayModeBar: false };
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const number = (value) => value.toLocaleString("en");
const percent = (value) => (value === null ? "–" : `${value.toFixed(2)} %`);
const learnt = run.networks.filter((n) => n.accuracy > run.guessing_limit);
// Where no network has learnt anything, all are shown, with a notice.
const useful = learnt.length ? learnt : run.networks;
const front = run.networks.filter((n) => n.is_front).sort((a, b) => b.accuracy - a.accuracy || a.params - b.params);
let chosen = front[0] ?? useful[0];

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function table(id, heads, rows) {
  const head = element("thead");
  head.append(element("tr"));
  heads.forEach((text) => head.firstChild.append(element("th", text)));
  const body = element("tbody");
  for (const cells of rows) {
    const row = element("tr");
    cells.forEach((cell) => row.append(cell instanceof Node ? cell : element("td", cell)));
    body.append(row);
  }
  byId(id).replaceChildren(head, body);
  return [...body.children];
}

function layout(more) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), automargin: true, exponentformat: "SI" };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("text"), family: "system-ui, sans-serif" },
    margin: { l: 60, r: 16, t: 44, b: 48 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("test") },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

function hover(n) {
  const accuracy = isValidated ? `validation ${percent(n.accuracy)}, test ${percent(n.test_accuracy)}` : `test ${percent(n.accuracy)}`;
  return `${n.genome}<br>${accuracy}<br>`
    + `${number(n.params)} parameters, ${number(n.flops)} FLOPs${n.picks ? `<br>${n.picks}` : ""}`;
}

function points(name, networks, x, y, marker) {
  const known = networks.filter((n) => axes[x].of(n) !== null && axes[y].of(n) !== null);
  return {
    name,
    type: "scatter",
    mode: "markers",
    x: known.map(axes[x].of),
    y: known.map(axes[y].of),
    text: known.map(hover),
    customdata: known.map((n) => n.evaluation),
    hovertemplate: "%{text}<extra></extra>",
    marker,
  };
}

/** The best accuracy up to each cost, as a step function. */
function steps(x, y) {
  const sorted = front.filter((n) => axes[y].of(n) !== null)
    .sort((a, b) => axes[x].of(a) - axes[x].of(b) || axes[y].of(b) - axes[y].of(a));
  let best = -Infinity;
  const line = sorted.filter((n) => axes[y].of(n) > best && ((best = axes[y].of(n)), true));
  return {
    name: "best up to this cost",
    type: "scatter",
    mode: "lines",
    x: line.map(axes[x].of),
    y: line.map(axes[y].of),
    line: { shape: "hv", color: colour(y === "test" ? "test" : "front"), width: 2 },
    hoverinfo: "skip",
  };
}

function drawScatter() {
  const [x, y] = [byId("x").value, byId("y").value];
  const others = useful.filter((n) => !n.is_front);
  const traces = [points("evaluated", others, x, y, { color: colour("dot"), size: 7 })];
  if (costs.includes(x) && (y === "accuracy" || y === "test")) traces.push(steps(x, y));
  traces.push(points("Pareto front", front, x, y, { color: colour("front"), size: 10 }));
  if (y === "accuracy" && isValidated) {
    const tested = points("front, test accuracy", front, x, "test", { color: colour("test"), size: 9, symbol: "x-thin-open", line: { width: 2 } });
    traces.push(tested);
  }
  const ring = { color: "rgba(0,0,0,0)", size: 17, line: { color: colour("text"), width: 2 } };
  traces.push({ ...points("chosen", [chosen], x, y, ring), hoverinfo: "skip", hovertemplate: undefined });
  const type = byId("log").checked ? "log" : "linear";
  Plotly.react("scatter", traces, layout({
    hovermode: "closest",
    xaxis: { title: { text: axes[x].label }, type },
    yaxis: { title: { text: axes[y].label } },
  }), options);
}

function drawCurve() {
  const curve = chosen.curve;
  byId("no-curve").hidden = curve.length > 0;
  byId("curve").hidden = curve.length === 0;
  if (curve.length === 0) return;
  const x = curve.map((point) => point.epoch);
  const line = (name, y, axis, shade) => ({ name, x, y, yaxis: axis, mode: "lines+markers", line: { color: colour(shade) } });
  Plotly.react("curve", [
    line("training loss", curve.map((point) => point.loss), "y", "front"),
    line("training accuracy (%)", curve.map((point) => point.train_accuracy), "y2", "test"),
  ], layout({
    margin: { l: 50, r: 50, t: 28, b: 44 },
    xaxis: { title: { text: "epoch" }, dtick: curve.length <= 12 ? 1 : undefined },
    yaxis: { title: { text: "loss" }, rangemode: "tozero" },
    yaxis2: { title: { text: "%" }, overlaying: "y", side: "right", showgrid: false },
  }), plain);
}

/** What the miners' answers decided; one answer alone is no vote. */
function verdict(miners) {
  if (miners.length < 2) return ["measured by", "one training, not replicated"];
  return ["verdict", `${miners.filter((m) => m.agreed).length} of ${miners.length} answers agreed`];
}

function drawDetail() {
  byId("name").textContent = `Network ${chosen.genome}`;
  const facts = [
    ["chosen by", `--genome ${chosen.picks ? chosen.picks.split(", ").join(" or ") : chosen.genome}`],
    ...(isValidated ? [["validation", percent(chosen.accuracy)]] : []),
    ["test", chosen.test_accuracy === null ? "not measured: not on the front" : percent(chosen.test_accuracy)],
    ...(chosen.retrained ? [["retrained", `${percent(chosen.retrained.test_accuracy)} on the test images after ${counted(chosen.retrained.epochs, "epoch")}`]] : []),
    ["parameters", number(chosen.params)],
    ["FLOPs", number(chosen.flops)],
    ["evaluation", `${chosen.evaluation} of ${run.hypervolume.length}`],
    verdict(chosen.miners),
  ];
  byId("numbers").replaceChildren(...facts.flatMap(([term, text]) => [element("dt", term), element("dd", text)]));
  if (chosen.svg === null) {
    byId("drawing").replaceChildren(element("p", "Only the most accurate networks are drawn here; genomaster show draws this one.", "hint"));
  } else {
    const image = element("img");
    image.alt = `the network of genome ${chosen.genome}`;
    const width = /width="(\d+)"/.exec(chosen.svg);
    image.style.minWidth = `${Math.round(0.75 * Number(width[1]))}px`;
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(chosen.svg)}`;
    byId("drawing").replaceChildren(image);
  }
  byId("votes").hidden = chosen.miners.length < 2;
  table("miners", ["miner", "answer", "finding"], chosen.miners.map((m) => [
    m.name, m.answer, element("td", m.finding, m.agreed ? "" : "no"),
  ]));
  drawCurve();
}

function choose(network) {
  chosen = network;
  drawDetail();
  drawScatter();
  markFront();
}

function markFront() {
  [...byId("front").tBodies[0].rows].forEach((row, at) => row.classList.toggle("chosen", front[at] === chosen));
}

function drawFront() {
  const anyRetrained = front.some((n) => n.retrained);
  const retrained = (text) => (anyRetrained ? [text] : []);
  const validated = (text) => (isValidated ? [text] : []);
  const heads = ["genome", "chosen as", ...validated("validation"), "test", ...retrained("retrained"), "parameters", "FLOPs"];
  const rows = table("front", heads, front.map((n) => {
    const cell = element("td", undefined, "genome");
    cell.append(element("button", n.genome));
    const again = retrained(percent(n.retrained ? n.retrained.test_accuracy : null));
    return [cell, n.picks, ...validated(percent(n.accuracy)), percent(n.test_accuracy), ...again, number(n.params), number(n.flops)];
  }));
  rows.forEach((row, at) => row.addEventListener("click", () => {
    choose(front[at]);
    byId("detail").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }));
}

/** The ticks of an axis of few whole numbers; otherwise the library chooses them. */
function wholeTicks(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high > low && high - low <= 12 ? Array.from({ length: high - low + 1 }, (_, at) => low + at) : undefined;
}

function drawParallel() {
  const dimensions = ["accuracy", "params", "flops", "nodes", "evaluation"].map((name) => {
    const values = useful.map(axes[name].of);
    const tickvals = name === "nodes" || name === "evaluation" ? wholeTicks(values) : undefined;
    return { label: axes[name].label, tickformat: axes[name].format, values, tickvals };
  });
  const colorscale = [[0, colour("low")], [0.5, colour("middle")], [1, colour("high")]];
  const colorbar = { title: { text: `${run.measured_on} %` } };
  Plotly.react("parallel", [{
    type: "parcoords",
    line: { color: useful.map((n) => n.accuracy), colorscale, showscale: true, colorbar },
    dimensions,
    labelfont: { color: colour("text") },
    tickfont: { color: colour("text"), shadow: [-1, 0, 1].map((at) => `${at}px ${at}px 2px ${colour("card")}`).join(", ") },
    rangefont: { color: colour("faint") },
  }], layout({ margin: { l: 70, r: 30, t: 60, b: 24 } }), plain);
}

function drawHypervolume() {
  const isOne = run.hypervolume.length === 1;
  // Around one value alone the library would choose a range that no share can have.
  const isFlat = run.hypervolume.every((share) => share === run.hypervolume[0]);
  Plotly.react("hypervolume", [{
    x: run.hypervolume.map((_, at) => at + 1),
    y: run.hypervolume,
    mode: isOne ? "markers" : "lines",
    marker: { color: colour("front") },
    line: { shape: "hv", color: colour("front"), width: 2 },
    hovertemplate: "after %{x} evaluations: %{y:.4f}<extra></extra>",
  }], layout({
    xaxis: { title: { text: "evaluations" }, tickformat: "d", range: isOne ? [0, 2] : undefined, dtick: run.hypervolume.length <= 12 ? 1 : undefined },
    yaxis: { title: { text: "hypervolume" }, range: isFlat ? [0, 1] : undefined },
    margin: { l: 60, r: 16, t: 8, b: 48 },
  }), plain);
}

function drawAll() {
  if (!chosen) return;
  drawFront();
  drawParallel();
  drawHypervolume();
  choose(chosen);
}

byId("title").textContent = run.title;
const evaluated = run.hypervolume.length;
byId("summary").textContent = (run.unfinished_of === null
  ? `${counted(evaluated, "network")} evaluated`
  : `${evaluated} of ${counted(run.unfinished_of, "network")} evaluated`)
  + `, ${front.length} on the Pareto front`
  + (run.failed.length ? `, ${run.failed.length} without a result` : "");
const limit = `${run.guessing_limit.toFixed(2)} %`;
const guessing = run.networks.length - useful.length;
byId("excluded").textContent = guessing
  ? `${guessing} ${guessing === 1 ? "network" : "networks"} of at most ${limit} ${guessing === 1 ? "is" : "are"} no better than guessing and not shown.`
  : "";
if (learnt.length === 0) {
  byId("notice").hidden = false;
  byId("notice").textContent = run.networks.length
    ? `No network was better than guessing (above ${limit} ${run.measured_on} accuracy), so all are shown. ${isValidated ? "Search longer, for example with --budget medium." : "Train longer, with more --epochs."}`
    : "No network has a result.";
}
for (const [id, start] of [["x", "params"], ["y", "accuracy"]]) {
  const shown = Object.entries(axes).filter(([name]) => name !== "test" || isValidated);
  for (const [name, axis] of shown) byId(id).append(new Option(axis.label, name, false, name === start));
  byId(id).addEventListener("change", drawScatter);
}
byId("log").addEventListener("change", drawScatter);
if (run.failed.length) {
  byId("failures").hidden = false;
  table("failed", ["genome", "reason"], run.failed.map(([genome, reason]) => [element("td", genome, "genome"), element("td", reason, "text")]));
}
if (!chosen) {
  document.querySelectorAll("[data-needs-networks]").forEach((section) => { section.hidden = true; });
}
drawAll();
if (chosen) {
  byId("scatter").on("plotly_click", (event) => {
    choose(run.networks.find((n) => n.evaluation === event.points[0].customdata));
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
