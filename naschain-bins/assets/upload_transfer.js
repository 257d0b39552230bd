/** Sending a file to the genomaster in parts, with pauses, and going on when the connection was gone. */

import { Problem, fetchJson, send } from "./dom.js";

/** Bytes of a part. */
const PART_BYTES = 4 << 20;
/** Pauses before the next attempt, in ms; the last one again and again. */
const PAUSES = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
/** Time over which the rate is measured. */
const RATE_MS = 10_000;
/** Time without a byte after which a connection counts as gone. */
const SILENCE_MS = 45_000;
/** Time that the genomaster has to say how much has arrived. */
const ASK_MS = 20_000;
/** How often the genomaster is asked whether it has read the upload. */
const CHECK_MS = 1_000;

/** A file that changed on the disk while it was sent: trying again would not help. */
export class Changed extends Error {}

/** Whether another attempt may succeed: nobody there, too busy, or a part that broke off or overlaps with another. */
const isPassing = (problem) => problem.status === 0 || problem.status === 408 || problem.status === 409 || problem.status === 429
  || problem.status >= 500 || problem.kind === "bad_body";

/** Sends a part. Unlike `fetch`, XMLHttpRequest tells how much is sent, so that a slow part moves the bar and a dead one is noticed. */
function sendPart(path, offset, body, signal, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const unreachable = () => reject(new Problem(0, "unreachable", "The connection to the genomaster broke off."));
    let silence = null;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => request.abort(), SILENCE_MS);
    };
    request.open("PATCH", path);
    request.setRequestHeader("Upload-Offset", String(offset));
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.upload.onprogress = (event) => {
      listen();
      onSent(event.loaded);
    };
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(problemOf(request));
    };
    request.onerror = request.onabort = unreachable;
    request.onloadend = () => clearTimeout(silence);
    signal.addEventListener("abort", () => request.abort());
    listen();
    request.send(body);
  });
}

function problemOf(request) {
  let problem = {};
  try {
    problem = JSON.parse(request.responseText);
  } catch {
    // Something between here and the genomaster has answered.
  }
  return new Problem(request.status, problem.type, problem.detail ?? `The genomaster answered with status ${request.status}.`);
}

/** One upload. `onProgress` gets `{offset, bytes, rate, left_ms}`, `onWait` gets what was wrong and the seconds until the next attempt. */
export class Transfer {
  #blob;
  #controller = null;
  #samples = [];
  #resume = null;

  constructor(info, blob, { onProgress, onWait }) {
    Object.assign(this, { id: info.id, offset: info.offset, onProgress, onWait, isPaused: false, isCancelled: false });
    this.#blob = blob;
  }

  get path() {
    return `/v1/uploads/${this.id}`;
  }

  pause() {
    this.isPaused = true;
    this.#controller?.abort();
  }

  resume() {
    this.isPaused = false;
    this.#samples = [];
    this.#resume?.();
  }

  /** Ends the transfer. What has arrived stays at the genomaster until it is deleted. */
  cancel() {
    this.isCancelled = true;
    this.#controller?.abort();
    this.#resume?.();
  }

  /** Deletes what has arrived. The genomaster refuses that until it has noticed that the last part broke off. */
  async delete() {
    for (const wait of PAUSES) {
      try {
        await send("DELETE", this.path);
        return;
      } catch (problem) {
        if (!isPassing(problem)) return;
        await this.#until(wait);
      }
    }
  }

  /** Sends all bytes and waits for the check. Returns the upload, stored or refused; `null` if cancelled. */
  async run() {
    let failures = 0;
    let isKnown = true;
    while (!this.isCancelled) {
      if (this.isPaused) {
        await this.#until(null);
        isKnown = false;
        continue;
      }
      try {
        // After a failure only the genomaster knows how much has arrived.
        if (!isKnown) this.offset = (await this.#ask()).offset;
        isKnown = true;
        this.#report(this.offset);
        if (this.offset >= this.#blob.size) return await this.#checked();
        await this.#part();
        failures = 0;
      } catch (problem) {
        isKnown = false;
        if (this.isPaused || this.isCancelled) continue;
        if (!isPassing(problem)) throw problem;
        const wait = PAUSES[Math.min(failures, PAUSES.length - 1)];
        failures += 1;
        // Some bytes of a part that broke off have arrived, and the browser has sent it again: no trouble.
        if (problem.status === 409 && failures === 1) continue;
        this.#samples = [];
        this.onWait(problem, wait / 1000, failures);
        await this.#until(wait);
      }
    }
    return null;
  }

  /** Waits so long, or until somebody resumes; with `null` only for that. */
  #until(ms) {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, ms);
      this.#resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #ask() {
    return fetchJson(this.path, { cache: "no-store", signal: AbortSignal.timeout(ASK_MS) });
  }

  async #part() {
    const end = Math.min(this.offset + PART_BYTES, this.#blob.size);
    let body;
    try {
      body = await this.#blob.slice(this.offset, end).arrayBuffer();
    } catch {
      throw new Changed("A file was changed, moved or deleted while it was uploaded. Choose the folder again.");
    }
    // Somebody may have paused it while the file was read.
    if (this.isPaused || this.isCancelled) return;
    this.#controller = new AbortController();
    await sendPart(this.path, this.offset, body, this.#controller.signal, (sent) => this.#report(this.offset + Math.min(sent, body.byteLength)));
    this.offset = end;
  }

  #report(sent) {
    if (this.isPaused || this.isCancelled) return;
    const now = performance.now();
    this.#samples.push([now, sent]);
    while (this.#samples.length > 2 && now - this.#samples[0][0] > RATE_MS) this.#samples.shift();
    const [from, offset] = this.#samples[0];
    const rate = now > from ? ((sent - offset) / (now - from)) * 1000 : 0;
    const left = rate > 0 ? ((this.#blob.size - sent) / rate) * 1000 : null;
    this.onProgress({ offset: sent, bytes: this.#blob.size, rate, left_ms: left });
  }

  async #checked() {
    for (;;) {
      const info = await this.#ask();
      if (info.state !== "checking" || this.isCancelled) return info;
      this.onProgress({ offset: info.bytes, bytes: info.bytes, isChecking: true });
      await this.#until(CHECK_MS);
    }
  }
}
