/** Axes on a canvas: where values are, and a drawing of them until the charting library is there. */

import { colour, si } from "./dom.js";
import { niceStep } from "./plot.js";

/** Where an axis of a drawn chart shows a value, in pixels of the chart. */
export function placing({ range, type, _offset: offset, _length: length }, isDown) {
  const [from, to] = range.map(Number);
  const scale = (isDown ? -length : length) / (to - from);
  const start = offset + (isDown ? length : 0) - from * scale;
  return type === "log" ? (value) => start + Math.log10(value) * scale : (value) => start + value * scale;
}

/** Numbers of an axis at about equal distances: multiples of 1, 2 or 5 times a power of ten. */
function ticks({ range: [from, to] }, count) {
  const step = niceStep((to - from) / count);
  const found = [];
  for (let at = Math.ceil(from / step); at * step <= to && found.length < 50; at++) found.push(at * step);
  return found;
}

/** Draws axes as the charting library does, in a simple way. */
export function drawAxes(context, { xaxis, yaxis }, titles) {
  const [left, bottom, right, top] = [xaxis._offset, yaxis._offset + yaxis._length, xaxis._offset + xaxis._length, yaxis._offset];
  const ratio = devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.globalCompositeOperation = "destination-over";
  context.font = "12px system-ui, sans-serif";
  context.strokeStyle = colour("line");
  context.fillStyle = colour("text");
  const text = (value, x, y, align) => {
    context.textAlign = align;
    context.fillText(value, x, y);
  };
  const grid = (...ends) => {
    context.beginPath();
    context.moveTo(ends[0], ends[1]);
    context.lineTo(ends[2], ends[3]);
    context.stroke();
  };
  const across = placing(xaxis, false);
  for (const value of ticks(xaxis, 6)) {
    grid(across(value), top, across(value), bottom);
    text(si(value).replace(" ", ""), across(value), bottom + 16, "center");
  }
  const down = placing(yaxis, true);
  for (const value of ticks(yaxis, 6)) {
    grid(left, down(value), right, down(value));
    text(si(value).replace(" ", ""), left - 6, down(value) + 4, "right");
  }
  context.font = "14px system-ui, sans-serif";
  text(titles[0], (left + right) / 2, bottom + 40, "center");
  context.rotate(-Math.PI / 2);
  text(titles[1], -(top + bottom) / 2, 16, "center");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalCompositeOperation = "source-over";
}
