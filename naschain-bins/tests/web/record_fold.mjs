// Run with `node record_fold.mjs ADDRESS`, with the address of a genomaster whose run has ended.
//
// The genomaster and record.js fold the same events. This compares the record that the genomaster sends
// with one that record.js makes of all events of the stream.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const source = await readFile(new URL("../../assets/record.js", import.meta.url), "utf8");
const { Record } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

/** The same with all lists empty, as before the first event. */
function emptied(value) {
  if (Array.isArray(value)) return [];
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, emptied(inner)]));
}

/**
 * All events of the stream up to a number of the journal. Some come after the end of the run: a miner that
 * was killed is away only then. The first message about activity follows the events that there were.
 */
async function eventsUntil(address, last) {
  const response = await fetch(`${address}/v1/events?activity=true`);
  const events = [];
  let text = "";
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    text += bytes;
    const messages = text.split("\n\n");
    text = messages.pop();
    for (const message of messages) {
      if (message.startsWith("event: activity")) return events;
      const id = message.match(/^id: (\d+)/m);
      if (id && Number(id[1]) <= last) events.push(JSON.parse(message.match(/^data: (.*)$/m)[1]));
    }
  }
  throw new Error("the stream ended before its message about activity");
}

const COLUMNS = [
  "job", "genome", "generation", "rung", "opened_ms", "ended_ms", "accuracy", "params", "flops", "verdict", "generations", "miners",
  "presence", "front", "finished",
];

const address = process.argv[2];
const json = await (await fetch(`${address}/v1/record`)).json();
const events = await eventsUntil(address, Number(json.cursor));
const { facts, verdicts, ...tables } = json;
const folded = new Record({ ...emptied(tables), facts: { ...facts }, verdicts, now_ms: 0, finished_ms: null });
for (const event of events) folded.apply(event);
const sent = new Record(json);
for (const column of COLUMNS) assert.deepEqual(folded[column], sent[column], column);
for (const t of [Infinity, sent.finished / 2]) assert.deepEqual(folded.frontRows(t), sent.frontRows(t));
console.log(`${events.length} events make the same record of ${sent.length} candidates`);
