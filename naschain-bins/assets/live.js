/** Follows a run: the record, and then the stream of its events, through restarts of the genomaster. */

import { fetchJson, page } from "./dom.js";
import { Record } from "./record.js";

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** For so long events are collected before they are handed on. */
const FLUSH_MS = 50;

const placeOf = (cursor) => {
  const [number, part] = String(cursor).split(".").map(Number);
  return [number, part ?? Infinity];
};

/** Whether the first cursor is after the second. A cursor is `number` or `number.part`. */
function isAfter(a, b) {
  const [[number, part], [otherNumber, otherPart]] = [placeOf(a), placeOf(b)];
  return number > otherNumber || (number === otherNumber && part > otherPart);
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Follows the run of this page as long as it is there. Calls `onRecord` with each record that was read anew,
 * `onEvents` with the events that were added to it, and `onStatus` with a state: `loading`, `live`,
 * `paused`, `reconnecting`, `stopped`, `ended` or `gone`, and the problem, if there is one.
 */
export async function follow({ onRecord, onEvents, onStatus }) {
  let wait = FIRST_WAIT_MS;
  for (;;) {
    let isGone = false;
    const json = await fetchJson(`${page.api}/record`).catch((problem) => {
      isGone = problem.status === 404;
      onStatus(isGone ? "gone" : "reconnecting", problem);
    });
    if (isGone) return;
    if (json) {
      const record = new Record(json);
      onRecord(record);
      const isRenewed = await stream(record, { onEvents, onStatus, onOpen: () => { wait = FIRST_WAIT_MS; } });
      if (isRenewed) continue;
      onStatus("reconnecting");
    }
    // With jitter, so that the readers of a genomaster do not all come back at once.
    await sleep(wait * (0.75 + Math.random() / 2));
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
}

/**
 * Adds the events of the stream to the record until the browser gives it up, or until the record has to
 * be read anew; returns whether it has to.
 */
function stream(record, { onEvents, onStatus, onOpen }) {
  return new Promise((closed) => {
    const source = new EventSource(`${page.api}/events?activity=true&after=${encodeURIComponent(record.cursor)}`);
    const state = () => {
      if (record.finished !== null) return record.facts.was_stopped ? "stopped" : "ended";
      return record.isPaused ? "paused" : "live";
    };
    const renew = () => {
      source.close();
      closed(true);
    };
    let [waiting, known] = [[], null];
    const flush = () => {
      const events = waiting;
      waiting = [];
      onEvents(events);
      onStatus(state());
    };
    source.onopen = () => {
      onOpen();
      onStatus(state());
    };
    source.onmessage = ({ data, lastEventId }) => {
      if (lastEventId) {
        if (!isAfter(lastEventId, record.cursor)) return;
        record.cursor = lastEventId;
      }
      const event = JSON.parse(data);
      const { generations } = record.facts;
      record.apply(event);
      // A search that was extended has other facts, which the record has.
      if (record.facts.generations !== generations) {
        renew();
        return;
      }
      // A burst of events, as after a restart, is handed on together.
      if (waiting.push(event) === 1) setTimeout(flush, FLUSH_MS);
    };
    source.addEventListener("activity", ({ data }) => {
      const activity = JSON.parse(data);
      // The same again: the search was extended.
      if (activity === known) {
        renew();
        return;
      }
      known = activity;
      record.isPaused = activity === "paused";
      if (activity === "ended") record.stop();
      onEvents([]);
      onStatus(state());
    });
    source.onerror = () => {
      onStatus("reconnecting");
      // While it is connecting the browser tries again by itself, with the last cursor.
      known = null;
      if (source.readyState !== EventSource.CLOSED) return;
      closed(false);
    };
  });
}

/**
 * Runs `draw` soon after it is asked for: at most four times a second, and so seldom that drawing takes
 * at most half of the time. Nothing is drawn while the page is hidden.
 */
export function throttled(draw, { interval = 250, longest = 800 } = {}) {
  let [timer, last, cost, isRunning, isAgain] = [null, -Infinity, 0, false, false];
  const run = async () => {
    timer = null;
    if (document.hidden) return;
    isRunning = true;
    isAgain = false;
    const began = performance.now();
    try {
      await draw();
    } finally {
      last = performance.now();
      cost = last - began;
      isRunning = false;
      if (isAgain) ask();
    }
  };
  function ask() {
    if (isRunning) {
      isAgain = true;
      return;
    }
    if (timer !== null) return;
    const wait = Math.min(Math.max(interval, cost), longest);
    timer = setTimeout(run, Math.max(0, last + wait - performance.now()));
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  return ask;
}
