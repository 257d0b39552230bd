/**
 * Many points behind a chart, on a canvas. The WebGL traces of plotly.js compile code at run time, which
 * the page's policy forbids; and this is faster where there is no graphics card.
 */

import { colour, el } from "./dom.js";
import { drawAxes, placing } from "./view_axes.js";

/** How far the pointer may be from a point, in pixels. */
const REACH = 8;

/** The red, green and blue of a colour such as #1c2127. */
const channels = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

/** Colours from low to high as `count` pixels of a canvas. */
function ramp(count) {
  const stops = ["low", "middle", "high"].map((name) => channels(colour(name)));
  return Uint32Array.from({ length: count }, (_, at) => {
    const place = count > 1 ? (2 * at) / (count - 1) : 0;
    const [from, to] = [stops[Math.min(1, Math.floor(place))], stops[Math.min(1, Math.floor(place)) + 1]];
    const share = place - Math.min(1, Math.floor(place));
    return pixel(from.map((channel, index) => channel + (to[index] - channel) * share));
  });
}

/** Channels in the order of bytes in a canvas of a little-endian machine. */
const pixel = ([red, green, blue]) => ((255 << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0;

/** Pixels of numbers between `low` and `high`. */
export function scaledPixels(values, low, high) {
  const colours = ramp(256);
  const pixels = new Uint32Array(values.length);
  const scale = high > low ? 255 / (high - low) : 0;
  for (let at = 0; at < values.length; at++) pixels[at] = colours[Math.round((values[at] - low) * scale)];
  return pixels;
}

/** The pixel of a colour such as #1c2127. */
export const pixelOf = (hex) => pixel(channels(hex));

/** The place of the pointer in a chart. */
function pointer(figure, event) {
  const box = figure.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

/** A chart with what lies behind it, and a text beside the pointer. */
export class Stack {
  /** `find` gives what is at a place in pixels; `describe` gives its lines of text, `chosen` is called when it is clicked. */
  constructor(figure, { find, describe, chosen }) {
    Object.assign(this, { figure, find, describe, chosen, canvas: el("canvas", { class: "cloud" }), tip: el("div", { class: "tip", hidden: true }), isOver: false });
    this.root = el("div", { class: "stack" }, this.canvas, figure, this.tip);
    this.isDragged = false;
    figure.addEventListener("pointermove", (event) => this.moved(event));
    figure.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    figure.addEventListener("pointerdown", (event) => { this.pressed = [event.clientX, event.clientY]; }, true);
    // The chart covers its own points while it is pressed, so the release may be anywhere.
    addEventListener("pointerup", (event) => this.released(event), true);
  }

  /** Listens to the chart, once it is drawn. `redraw` draws what is behind it again. */
  attach(redraw) {
    if (this.redraw) return;
    this.redraw = redraw;
    this.figure.on("plotly_afterplot", redraw);
    this.figure.on("plotly_hover", () => { this.isOver = true; this.tip.hidden = true; });
    this.figure.on("plotly_unhover", () => { this.isOver = false; });
  }

  moved(event) {
    const [x, y] = pointer(this.figure, event);
    const found = this.isOver || event.buttons ? null : this.find(x, y);
    this.figure.classList.toggle("over-point", found !== null);
    this.tip.hidden = found === null;
    if (found === null) return;
    this.tip.replaceChildren(...this.describe(found).map((text) => el("div", {}, text)));
    const isRight = x > this.figure.clientWidth / 2;
    this.tip.style.left = isRight ? "" : `${x + 14}px`;
    this.tip.style.right = isRight ? `${this.figure.clientWidth - x + 14}px` : "";
    this.tip.style.top = `${y + 10}px`;
  }

  released(event) {
    if (!this.pressed) return;
    const [x, y] = this.pressed;
    this.pressed = null;
    if (this.isOver || Math.hypot(event.clientX - x, event.clientY - y) > 4) return;
    const found = this.find(...pointer(this.figure, event));
    if (found !== null) this.chosen(found);
  }
}

/** The points. `figure` is the chart, whose axes they follow. */
export class Cloud {
  constructor(figure, { describe, chosen }) {
    this.figure = figure;
    this.points = null;
    this.stack = new Stack(figure, { find: (x, y) => this.nearest(x, y), describe, chosen });
    this.root = this.stack.root;
  }

  /**
   * Sets the points that are painted whenever the chart is drawn: values `x` and `y`, and the pixel of each.
   * `null` shows none.
   */
  set(points) {
    this.points = points;
    this.at = null;
  }

  /** Listens to the chart, after it was drawn for the first time. */
  attach() {
    if (this.stack.redraw) return;
    this.stack.attach(() => this.paint());
    this.paint();
  }

  /**
   * Paints the points and their axes before the charting library is there, about where it will have them:
   * running the library takes longer than all else. `titles` are those of the axes. Ends when they are on
   * the screen.
   */
  async preview(titles) {
    if (this.figure._fullLayout || this.points === null) return;
    const { clientWidth: width, clientHeight: height } = this.figure;
    const axis = (values, offset, length) => ({ type: "linear", range: padded(values), _offset: offset, _length: length });
    const layout = { width, height, xaxis: axis(this.points.x, 60, width - 76), yaxis: axis(this.points.y, 44, height - 104) };
    this.paint(layout);
    drawAxes(this.stack.canvas.getContext("2d"), layout, titles);
    // The frame after the next one begins when the next one is shown. A hidden page has no frames.
    const frame = () => new Promise((shown) => {
      requestAnimationFrame(shown);
      setTimeout(shown, 100);
    });
    await frame();
    await frame();
  }

  paint(layout = this.figure._fullLayout) {
    const { canvas } = this.stack;
    canvas.hidden = this.points === null;
    if (this.points === null || !layout?.xaxis) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(layout.width * ratio), Math.round(layout.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      [canvas.width, canvas.height] = [width, height];
      canvas.style.width = `${layout.width}px`;
      canvas.style.height = `${layout.height}px`;
    }
    this.place(layout);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const image = context.createImageData(width, height);
    this.fill(new Uint32Array(image.data.buffer), { width, ratio, layout });
    context.putImageData(image, 0, 0);
  }

  place({ xaxis, yaxis }) {
    const { x, y } = this.points;
    const [across, down] = [placing(xaxis, false), placing(yaxis, true)];
    this.at = { x: new Float32Array(x.length), y: new Float32Array(x.length) };
    for (let point = 0; point < x.length; point++) {
      this.at.x[point] = across(x[point]);
      this.at.y[point] = down(y[point]);
    }
  }

  fill(pixels, { width, ratio, layout: { xaxis, yaxis } }) {
    const disc = discOf(this.points.radius * ratio, width);
    const edge = Math.ceil(this.points.radius * ratio);
    const [left, right] = [xaxis._offset * ratio + edge, (xaxis._offset + xaxis._length) * ratio - edge];
    const [top, bottom] = [yaxis._offset * ratio + edge, (yaxis._offset + yaxis._length) * ratio - edge];
    const { pixels: colours } = this.points;
    for (let point = 0; point < colours.length; point++) {
      const x = Math.round(this.at.x[point] * ratio);
      const y = Math.round(this.at.y[point] * ratio);
      // What is not in the window of the axes.
      if (!(x >= left && x <= right && y >= top && y <= bottom)) continue;
      const centre = y * width + x;
      for (let at = 0; at < disc.length; at++) pixels[centre + disc[at]] = colours[point];
    }
  }

  /** The point that is nearest to a place, by its index; `null` if none is near. */
  nearest(x, y) {
    if (!this.at) return null;
    let [best, least] = [null, REACH * REACH];
    for (let point = 0; point < this.at.x.length; point++) {
      const distance = (this.at.x[point] - x) ** 2 + (this.at.y[point] - y) ** 2;
      // Of equal ones the last, which is drawn above the others.
      if (distance <= least) [best, least] = [point, distance];
    }
    return best;
  }
}

/** The range of an axis that holds these values. */
function padded(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const margin = 0.06 * (high - low);
  return [low - margin, high + margin];
}

/** The pixels of a disc, relative to its centre. */
function discOf(radius, width) {
  const disc = [];
  const edge = Math.ceil(radius);
  for (let y = -edge; y <= edge; y++) for (let x = -edge; x <= edge; x++) if (x * x + y * y <= radius * radius) disc.push(y * width + x);
  return disc;
}
