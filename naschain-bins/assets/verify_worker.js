/**
 * A worker that recomputes the hash chain of a run's journal. It gets `{api, job, answers}` once, and
 * posts `{kind: "progress"}` after each page, then `{kind: "outcome"}` or `{kind: "problem"}`.
 * No entry is kept: a journal may be much larger than the memory of a page.
 */

import { blake3, fromHex, toHex } from "./blake3.js";

/** The genomaster is not trusted: the largest response that is read. */
const MAX_RESPONSE = 32 * 2 ** 20;
const MAX_PAUSE_MS = 8000;
const CAN_PASS = [0, 408, 429, 503];

class Failure extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function bodyOf(response) {
  const parts = [];
  let length = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MAX_RESPONSE) throw new Failure(response.status, `A response is larger than ${MAX_RESPONSE >> 20} MiB.`);
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function getOnce(path) {
  let response, body;
  try {
    response = await fetch(path, { credentials: "same-origin" });
    body = await bodyOf(response);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(0, "The genomaster cannot be reached. Check the connection, and verify again.");
  }
  if (response.ok) return body;
  let problem = {};
  try {
    problem = parsed(body);
  } catch { /* Not a problem document: the status says enough. */ }
  throw new Failure(response.status, problem.detail ?? `The genomaster answered ${path} with status ${response.status}.`);
}

/** The body of a response. Failures that may pass are waited for a few times. */
async function get(path) {
  for (let pause = 1000; ; pause *= 2) {
    try {
      return await getOnce(path);
    } catch (failure) {
      if (pause > MAX_PAUSE_MS || !CAN_PASS.includes(failure.status)) throw failure;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

const parsed = (body) => JSON.parse(new TextDecoder().decode(body));

/** The digest that the chain starts with, and whether it was computed here. */
async function digestOfRun(api) {
  try {
    return { digest: toHex(blake3(await get(`${api}/run`))), isComputed: true };
  } catch (failure) {
    if (failure.status !== 401) throw failure;
  }
  return { digest: parsed(await get(`${api}/record`)).facts.run, isComputed: false };
}

/** The hash chain, entry by entry. */
class Chain {
  number = 0;
  nowMs = 0;
  #encoder = new TextEncoder();
  #buffer = new Uint8Array(2 ** 16);

  constructor(digest) {
    this.link = digest;
  }

  /** Adds an entry. Returns what does not fit, or `null`. */
  add(entry) {
    const number = this.number + 1;
    if (entry.number !== number) return { number, text: `entry ${number} is missing: entry ${entry.number} came in its place` };
    const link = toHex(blake3(this.#hashed(entry)));
    if (link !== entry.link) return { number, text: `its hash is ${link}, but the journal says ${entry.link}` };
    Object.assign(this, { number, link, nowMs: entry.now_ms });
    return null;
  }

  /** Previous link ‖ time ‖ event, and with a proof a zero byte and the proof. */
  #hashed({ now_ms: nowMs, event, proof }) {
    // A UTF-16 unit becomes at most three bytes.
    const most = 41 + 3 * (event.length + (proof?.length ?? 0));
    if (this.#buffer.length < most) this.#buffer = new Uint8Array(2 * most);
    const buffer = this.#buffer;
    buffer.set(fromHex(this.link));
    const time = new DataView(buffer.buffer, 32, 8);
    time.setUint32(0, nowMs % 2 ** 32, true);
    time.setUint32(4, Math.floor(nowMs / 2 ** 32), true);
    let length = 40 + this.#encoder.encodeInto(event, buffer.subarray(40)).written;
    if (proof !== undefined && proof !== null) {
      buffer[length] = 0;
      length += 1 + this.#encoder.encodeInto(proof, buffer.subarray(length + 1)).written;
    }
    return buffer.subarray(0, length);
  }
}

const SIGNED = ["method", "path", "body", "receiver", "hotkey", "signature"];
const MEASURED = ["accuracy", "params", "flops", "digest"];
const same = (names, one, other) => names.every((name) => (one[name] ?? null) === (other[name] ?? null));

/** Whether a proof of the journal is the request that is shown. Its nonce has more digits than a number can. */
const isRequest = (text, shown) => text.includes(`"nonce":${shown.nonce}`) && same(SIGNED, JSON.parse(text), shown);

/** Whether an entry is this answer: the same miner, the same row, and the request that is shown, if one is. */
function isAnswer({ miner, measured, failed, finding, proof }, event, entry) {
  if (event.miner !== miner) return false;
  if (proof && !(entry.proof && isRequest(entry.proof, proof))) return false;
  const row = event.row ?? {};
  if (measured) return Boolean(row.measured) && same(MEASURED, row.measured, measured);
  // The contents of a malformed answer are not shown: its request is all that can be compared.
  return row.failed === failed || (finding === "malformed" && Boolean(proof));
}

/** Notes in which entry each answer of the page is. An entry is one answer only. */
function note(found, answers, entry) {
  // Reading each event would take longer than hashing it.
  if (!entry.event.includes('"submit"')) return;
  const event = JSON.parse(entry.event);
  if (event.event !== "submit") return;
  const at = answers.findIndex((answer, at) => found[at] === null && isAnswer(answer, event, entry));
  if (at >= 0) found[at] = entry.number;
}

/** Whether the part of the journal that is public must contain the answers of the job. */
async function mustHaveAnswers(api, job, nowMs) {
  const { finished_ms: finishedMs, candidates } = parsed(await get(`${api}/record`));
  const endedMs = candidates.ended_ms[candidates.job.indexOf(job)] ?? null;
  return finishedMs !== null || (endedMs !== null && nowMs > endedMs);
}

async function verify({ api, job, answers }) {
  const began = performance.now();
  const run = await digestOfRun(api);
  const chain = new Chain(run.digest);
  const found = answers.map(() => null);
  let [last, length, broken] = [0, 0, null];
  do {
    const body = await get(`${api}/journal?after=${chain.number}`);
    const page = parsed(body);
    if (page.entries.length === 0) break;
    for (const entry of page.entries) {
      broken = chain.add(entry);
      if (broken) break;
      note(found, answers, entry);
    }
    last = Math.max(page.last, chain.number);
    length += body.length;
    postMessage({ kind: "progress", number: chain.number, last, length });
  } while (!broken && chain.number < last);
  const isMissing = !broken && found.includes(null);
  const mustBeThere = isMissing && await mustHaveAnswers(api, job, chain.nowMs);
  return {
    kind: "outcome", run, number: chain.number, head: chain.link, length, broken, found, mustBeThere,
    ms: performance.now() - began,
  };
}

onmessage = async ({ data }) => {
  try {
    postMessage(await verify(data));
  } catch (error) {
    const detail = error instanceof Failure ? error.message : `The journal cannot be read: ${error.message}`;
    postMessage({ kind: "problem", detail });
  }
};
