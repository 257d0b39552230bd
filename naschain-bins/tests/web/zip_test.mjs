/** Archives of zip.js, read by Python's zipfile. Run with `node --test`. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

// From its text, because a file named .js is an ES module for browsers, but not for every Node.
const source = readFileSync(new URL("../../assets/zip.js", import.meta.url), "utf8");
const { MAX_BYTES, MAX_FILES, contentKey, crc32, makeZip, namesInZip, tooLarge, zipSize } = await import(
  `data:text/javascript,${encodeURIComponent(source)}`
);

/** Prints what it finds in an archive, after checking all CRCs. */
const READER = `
import hashlib, json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    print(json.dumps([
        {"name": entry.filename, "size": entry.file_size, "stored": entry.compress_type == zipfile.ZIP_STORED,
         "date": entry.date_time, "sha256": hashlib.sha256(archive.read(entry)).hexdigest()}
        for entry in archive.infolist()
    ]))
`;

async function readByPython(blob) {
  const dir = mkdtempSync(join(tmpdir(), "zip-test-"));
  try {
    const path = join(dir, "made.zip");
    writeFileSync(path, new Uint8Array(await blob.arrayBuffer()));
    return JSON.parse(execFileSync("python3", ["-c", READER, path], { encoding: "utf8" }));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function sha256(blob) {
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Buffer.from(digest).toString("hex");
}

/** Bytes that are not all alike. */
function noise(size, seed) {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let index = 0; index < size; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return new Blob([bytes]);
}

const files = () => [
  { name: "rose/2.jpg", file: noise(1000, 2) },
  { name: "daisy/größe ☀.png", file: noise(77, 3) },
  { name: "daisy/empty.gif", file: new Blob([]) },
  // Read in several parts.
  { name: "rose/large.bmp", file: noise((9 << 20) + 5, 4) },
];

test("CRC-32 has its check value, also in parts", () => {
  const bytes = new TextEncoder().encode("123456789");
  assert.equal(crc32(bytes), 0xcbf43926);
  assert.equal(crc32(bytes.slice(4), crc32(bytes.slice(0, 4))), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test("another program reads the same files", async () => {
  const blob = await makeZip(files());
  assert.equal(blob.size, zipSize(files()));
  const read = await readByPython(blob);
  assert.deepEqual(read.map(({ name }) => name), ["daisy/empty.gif", "daisy/größe ☀.png", "rose/2.jpg", "rose/large.bmp"]);
  for (const { name, file } of files()) {
    const entry = read.find((one) => one.name === name);
    assert.deepEqual(entry, { name, size: file.size, stored: true, date: [1980, 1, 1, 0, 0, 0], sha256: await sha256(file) });
  }
});

test("thousands of files", async () => {
  const many = Array.from({ length: 3_000 }, (_, index) => ({ name: `c${index % 7}/${index}.png`, file: noise(index % 50, index) }));
  const read = await readByPython(await makeZip(many));
  assert.equal(read.length, 3_000);
});

test("the same files in any order make the same bytes, which an upload that goes on needs", async () => {
  const [one, other] = [await makeZip(files()), await makeZip(files().reverse())];
  assert.equal(await sha256(one), await sha256(other));
  assert.equal(contentKey(files()), contentKey(files().reverse()));
  assert.match(contentKey(files()), /^[0-9a-f]{8}$/);
  const changed = files();
  changed[0].file = noise(1001, 2);
  assert.notEqual(contentKey(files()), contentKey(changed));
});

test("progress ends with all bytes, and reading can be stopped", async () => {
  let last = 0;
  await makeZip(files(), { onRead: (read) => { last = read; } });
  assert.equal(last, files().reduce((sum, { file }) => sum + file.size, 0));
  const controller = new AbortController();
  controller.abort();
  await assert.rejects(makeZip(files(), { signal: controller.signal }), { name: "AbortError" });
});

test("what does not fit is refused with the command that can do it", async () => {
  const large = [{ name: "a/1.png", file: { size: MAX_BYTES } }];
  assert.match(tooLarge(large), /4\.0 GiB.*genomaster data upload/);
  const many = Array.from({ length: MAX_FILES + 1 }, (_, index) => ({ name: `a/${index}.png`, file: new Blob([]) }));
  assert.match(tooLarge(many), /65,536 pictures.*genomaster data upload/);
  assert.equal(tooLarge(many.slice(1)), null);
  await assert.rejects(makeZip(many), /65,535/);
  await assert.rejects(makeZip([files()[0], files()[0]]), /rose\/2\.jpg is there twice/);
});

test("the names of an archive are read from its directory", async () => {
  const blob = await makeZip(files());
  assert.deepEqual(await namesInZip(blob), ["daisy/empty.gif", "daisy/größe ☀.png", "rose/2.jpg", "rose/large.bmp"]);
  assert.equal(await namesInZip(noise(5_000, 9)), null);
  assert.equal(await namesInZip(new Blob([])), null);
  // A directory that is cut off.
  assert.equal(await namesInZip(new Blob([blob.slice(blob.size - 60)])), null);
});
