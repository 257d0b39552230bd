/** The bar that chooses the time: live, or any moment of the run, which can be played. */

import { duration, el, number } from "./dom.js";

const WHOLE_RUN_MS = 20_000;
const STEPS = 1_000;
const SPEEDS = [1, 10, 100, 1_000];

/** The scrubber. Calls `changed` with the chosen time, which is `Infinity` for live. */
export class Scrubber {
  constructor(changed) {
    this.changed = changed;
    this.record = null;
    this.t = Infinity;
    this.frame = null;
    this.play = el("button", { type: "button", onclick: () => this.toggle() }, "Play");
    this.speed = el("select", { "aria-label": "speed" });
    this.range = el("input", { type: "range", min: 0, max: STEPS, step: 1, value: STEPS, "aria-label": "time of the run", oninput: () => this.scrubbed() });
    this.text = el("span", { class: "time" });
    this.live = el("button", { type: "button", onclick: () => this.goTo(Infinity) }, "Live");
    this.root = el("div", { class: "scrubber", role: "group", "aria-label": "Replay" }, this.play, this.speed, this.range, this.text, this.live);
  }

  /** Shows the time of a record, which may have grown. */
  update(record) {
    const isOther = record !== this.record;
    this.record = record;
    if (isOther) this.offerSpeeds();
    this.range.max = record.facts.has_times ? STEPS : Math.max(1, Math.round(record.end));
    const at = Math.min(this.t, record.end);
    const value = String(Math.round((at / record.end) * this.range.max));
    if (this.range.value !== value) this.range.value = value;
    const words = (ms) => (record.facts.has_times ? duration(ms) : number(Math.round(ms)));
    const generation = record.generationAt(this.t);
    const text = `${record.facts.has_times ? "" : "evaluation "}${words(at)} of ${words(record.end)}${generation ? ` · generation ${generation}` : ""}`;
    if (this.text.textContent !== text) {
      this.text.textContent = text;
      this.range.setAttribute("aria-valuetext", text);
    }
    this.live.textContent = record.finished === null && record.facts.has_times ? "Live" : "End";
    this.live.setAttribute("aria-pressed", String(this.t === Infinity));
  }

  offerSpeeds() {
    const { has_times: hasTimes } = this.record.facts;
    const chosen = this.speed.value || "whole";
    this.speed.replaceChildren(
      ...SPEEDS.map((speed) => el("option", { value: speed }, hasTimes ? `${number(speed)}×` : `${number(speed)} per second`)),
      el("option", { value: "whole" }, "all in 20 s"));
    this.speed.value = chosen;
  }

  scrubbed() {
    const value = Number(this.range.value);
    this.pause();
    this.goTo(value >= Number(this.range.max) ? Infinity : (value / this.range.max) * this.record.end);
  }

  goTo(t) {
    this.t = t;
    if (t === Infinity) this.pause();
    this.update(this.record);
    this.changed(t);
  }

  toggle() {
    if (this.frame !== null) {
      this.pause();
      return;
    }
    // At the end there is nothing to play but the whole.
    if (this.t === Infinity) this.goTo(0);
    this.play.textContent = "Pause";
    let last = performance.now();
    const step = (now) => {
      const passed = Math.max(0, now - last);
      last = now;
      const t = this.t + passed * this.pace();
      this.frame = requestAnimationFrame(step);
      this.goTo(t >= this.record.end ? Infinity : t);
    };
    this.frame = requestAnimationFrame(step);
  }

  /** By how much the time moves in a millisecond. */
  pace() {
    if (this.speed.value === "whole") return this.record.end / WHOLE_RUN_MS;
    return Number(this.speed.value) / (this.record.facts.has_times ? 1 : 1_000);
  }

  pause() {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
    this.play.textContent = "Play";
  }
}
