/**
 * Parallel coordinates: lines on a canvas, axes above them. Those of plotly.js compile code at run time,
 * which the page's policy forbids.
 */

import { colour, el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const [TOP, BOTTOM, SIDE] = [56, 16, 70];
const SHADES = 32;
/** How far from an axis it is taken, in pixels. */
const GRIP = 18;

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** About five round numbers between two. */
function ticksOf(low, high, isWhole) {
  if (!(high > low)) return [low];
  const least = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = Math.max([1, 2, 5, 10].find((factor) => factor * power >= least) * power, isWhole ? 1 : 0);
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) ticks.push(Number(at.toPrecision(12)));
  return ticks;
}

/** The chart. `changed` is called when the ranges or the order of the axes change. */
export class ParallelPlot {
  constructor(changed) {
    this.changed = changed;
    this.canvas = el("canvas", { class: "cloud" });
    this.axes = svg("svg", { class: "axes", role: "presentation" });
    this.root = el("div", { class: "chart stack parallel", role: "figure", "aria-label": "Parallel coordinates of the networks" }, this.canvas, this.axes);
    this.dimensions = [];
    /** By name, the range that is kept. */
    this.ranges = new Map();
    this.order = [];
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  /** Shows networks: `dimensions` as `{name, label, values, text, isWhole}`, and the values for the colours. */
  show(dimensions, shades) {
    this.dimensions = dimensions.map((dimension) => {
      const low = dimension.values.reduce((least, value) => Math.min(least, value), Infinity);
      const high = dimension.values.reduce((most, value) => Math.max(most, value), -Infinity);
      return { ...dimension, low, high };
    });
    this.shades = shades;
    if (this.order.length === 0) this.order = dimensions.map(({ name }) => name);
    this.draw();
  }

  /** Keeps the networks in a range of an axis; `null` keeps all. */
  keep(name, range) {
    if (range === null) this.ranges.delete(name);
    else this.ranges.set(name, range);
    this.draw();
    this.changed();
  }

  /** Moves an axis to a place in the order. */
  move(name, place) {
    this.order = this.order.filter((other) => other !== name);
    this.order.splice(Math.max(0, place), 0, name);
    this.draw();
    this.changed();
  }

  /** The dimensions in the order of the axes. */
  get ordered() {
    return this.order.map((name) => this.dimensions.find((dimension) => dimension.name === name)).filter(Boolean);
  }

  /** Whether a network is in all ranges. */
  isKept(at) {
    return this.dimensions.every(({ name, values }) => {
      const range = this.ranges.get(name);
      return !range || (values[at] >= range[0] && values[at] <= range[1]);
    });
  }

  /** The number of networks in all ranges. */
  get keptCount() {
    let count = 0;
    for (let at = 0; at < this.shades.length; at++) if (this.isKept(at)) count++;
    return count;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (width === 0 || this.dimensions.length === 0) return;
    this.height = height - TOP - BOTTOM;
    this.gap = (width - 2 * SIDE) / (this.dimensions.length - 1);
    this.drawLines(width, height);
    this.axes.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.axes.replaceChildren(...this.ordered.map((dimension, place) => this.axisOf(dimension, SIDE + place * this.gap)));
  }

  yOf({ low, high }, value) {
    return TOP + this.height * (1 - (high > low ? (value - low) / (high - low) : 0.5));
  }

  valueAt({ low, high }, y) {
    return low + (high - low) * Math.min(1, Math.max(0, 1 - (y - TOP) / this.height));
  }

  drawLines(width, height) {
    const ratio = devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [width * ratio, height * ratio];
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const [low, high] = this.shades.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    const ordered = this.ordered;
    const places = ordered.map(({ low, high }, place) => ({ values: ordered[place].values, x: SIDE + place * this.gap, low, high }));
    const paths = Array.from({ length: SHADES + 1 }, () => new Path2D());
    for (let at = 0; at < this.shades.length; at++) {
      // The last path is of those that are not kept.
      const shade = !this.isKept(at) ? SHADES : high > low ? Math.min(SHADES - 1, Math.floor(((this.shades[at] - low) / (high - low)) * SHADES)) : 0;
      places.forEach((place, index) => paths[shade][index ? "lineTo" : "moveTo"](place.x, this.yOf(place, place.values[at])));
    }
    const isMany = this.shades.length > 500;
    context.lineWidth = 1;
    for (const [shade, path] of [[SHADES, paths[SHADES]], ...paths.slice(0, SHADES).entries()]) {
      context.globalAlpha = shade === SHADES ? 0.15 : isMany ? 0.5 : 0.9;
      context.strokeStyle = shade === SHADES ? colour("dot") : mixed(shade / (SHADES - 1));
      context.stroke(path);
    }
  }

  axisOf(dimension, x) {
    const { name, label, text, isWhole, low, high } = dimension;
    const ticks = ticksOf(low, high, isWhole);
    const range = this.ranges.get(name);
    const group = svg("g", {},
      svg("line", { class: "line", x1: x, x2: x, y1: TOP, y2: TOP + this.height }),
      ...ticks.map((tick) => svg("text", { class: "tick", x: x + 6, y: this.yOf(dimension, tick) + 4 }, text(tick))));
    if (range) {
      const [bottom, top] = range.map((value) => this.yOf(dimension, Math.min(high, Math.max(low, value))));
      group.append(svg("rect", { class: "kept", x: x - 4, width: 8, y: top, height: Math.max(2, bottom - top) }));
    }
    const grip = svg("rect", { class: "grip", x: x - GRIP, width: 2 * GRIP, y: TOP - 4, height: this.height + 8 });
    // The names of the outermost axes stay inside.
    const place = this.order.indexOf(name);
    const anchor = place === 0 ? "start" : place === this.order.length - 1 ? "end" : "middle";
    const title = svg("text", { class: "title", x: place === 0 ? 4 : anchor === "end" ? x + SIDE - 4 : x, y: TOP - 24, "text-anchor": anchor }, label);
    grip.addEventListener("pointerdown", (event) => this.brush(event, dimension));
    title.addEventListener("pointerdown", (event) => this.drag(event, dimension));
    group.append(grip, title);
    return group;
  }

  /** Until the pointer is released, `moved` gets its place. */
  capture(event, moved, released) {
    event.preventDefault();
    const place = ({ clientX, clientY }) => {
      const box = this.root.getBoundingClientRect();
      return [clientX - box.left, clientY - box.top];
    };
    const ending = new AbortController();
    addEventListener("pointermove", (event) => moved(...place(event)), { signal: ending.signal });
    for (const end of ["pointerup", "pointercancel"]) {
      addEventListener(end, (event) => {
        ending.abort();
        released(...place(event));
      }, { signal: ending.signal });
    }
    return place(event);
  }

  brush(event, dimension) {
    let isMoved = false;
    const [, from] = this.capture(event, (_, y) => {
      if (Math.abs(y - from) < 3 && !isMoved) return;
      isMoved = true;
      const ends = [this.valueAt(dimension, from), this.valueAt(dimension, y)];
      this.keep(dimension.name, ends.sort((a, b) => a - b));
    }, () => { if (!isMoved) this.keep(dimension.name, null); });
  }

  drag(event, { name }) {
    const [from] = this.capture(event, (x) => event.target.setAttribute("x", x), (x) => {
      if (Math.abs(x - from) > 3) this.move(name, Math.round((x - SIDE) / this.gap));
      else this.draw();
    });
  }
}

/** The colour at a share from low to high. */
function mixed(share) {
  const [from, to, part] = share < 0.5 ? ["low", "middle", 2 * share] : ["middle", "high", 2 * share - 1];
  const channels = (name) => [1, 3, 5].map((at) => Number.parseInt(colour(name).slice(at, at + 2), 16));
  const [a, b] = [channels(from), channels(to)];
  return `rgb(${a.map((channel, at) => Math.round(channel + (b[at] - channel) * part)).join(" ")})`;
}
