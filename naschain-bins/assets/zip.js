/**
 * ZIP archives made in the browser: stored, because pictures are compressed already, and the same bytes
 * for the same files, so that an interrupted upload can go on after the page was closed.
 */

/** Files of an archive without the extension ZIP64, at most. */
export const MAX_FILES = 65_535;
/** Bytes of such an archive, at most. */
export const MAX_BYTES = 2 ** 32 - 1;

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
/** Names are UTF-8. */
const UTF8 = 1 << 11;
/** Needed to unpack: version 1.0, stored. */
const VERSION = 10;
/** 1 January 1980, the first day that ZIP has: the files' own dates would change the bytes. */
const DAY = (1 << 5) | 1;
/** Bytes of a file that are in memory at a time. */
const READ_BYTES = 4 << 20;
/** Files that are read at a time: one after the other, thousands of small ones would wait for the disk. */
const READERS = 8;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 of bytes, going on from the CRC of those before them. */
export function crc32(bytes, before = 0) {
  let crc = ~before;
  for (let index = 0; index < bytes.length; index += 1) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[index]) & 0xff];
  return ~crc >>> 0;
}

/** A short name of a set of files by their names and sizes. */
export function contentKey(files) {
  const lines = files.map(({ name, file }) => `${name}\0${file.size}\n`).sort();
  return crc32(new TextEncoder().encode(lines.join(""))).toString(16).padStart(8, "0");
}

/** The size of the archive of these files. */
export function zipSize(files) {
  const encoder = new TextEncoder();
  return files.reduce((sum, { name, file }) => sum + file.size + LOCAL_BYTES + CENTRAL_BYTES + 2 * encoder.encode(name).length, END_BYTES);
}

/** Says why an archive of these files cannot be made here, and what to do; `null` if it can. */
export function tooLarge(files) {
  const size = zipSize(files);
  const advice = "Upload it with the command line, which has no such limit: pack it with tar, then `genomaster data upload FILE.tar`.";
  if (files.length > MAX_FILES) {
    return `The folder has ${files.length.toLocaleString("en")} pictures; a browser can pack ${MAX_FILES.toLocaleString("en")}. ${advice}`;
  }
  if (size > MAX_BYTES) {
    return `The folder has ${(size / 2 ** 30).toFixed(1)} GiB; a browser can pack 4 GiB. ${advice}`;
  }
  return null;
}

/** Writes little-endian fields, each as [bytes, value]. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** The fields that the header of a file and its entry in the directory share. */
const common = (crc, size, nameBytes) => [
  [2, VERSION], [2, UTF8], [2, 0], [2, 0], [2, DAY], [4, crc], [4, size], [4, size], [2, nameBytes], [2, 0],
];

async function crcOf(file, onRead, signal) {
  let crc = 0;
  for (let at = 0; at < file.size; at += READ_BYTES) {
    signal?.throwIfAborted();
    const bytes = new Uint8Array(await file.slice(at, at + READ_BYTES).arrayBuffer());
    crc = crc32(bytes, crc);
    onRead(bytes.length);
  }
  return crc;
}

/** The CRCs of all files, of which each is read once. */
async function crcsOf(files, onRead, signal) {
  const crcs = new Array(files.length);
  let next = 0;
  const reader = async () => {
    while (next < files.length) {
      const index = next;
      next += 1;
      const { name, file } = files[index];
      try {
        crcs[index] = await crcOf(file, onRead, signal);
      } catch (error) {
        if (signal?.aborted) throw error;
        throw new Error(`${name} cannot be read (${error.message}). Close programs that use it, and choose the folder again.`);
      }
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return crcs;
}

/**
 * Packs files, each `{name, file}`, into a ZIP archive: a Blob of headers and references to the files,
 * whose contents stay on the disk. `onRead` gets the number of bytes read so far.
 */
export async function makeZip(files, { onRead = () => {}, signal } = {}) {
  const problem = tooLarge(files);
  if (problem) throw new Error(problem);
  const encoder = new TextEncoder();
  const byName = (a, b) => (a.name < b.name ? -1 : Number(a.name > b.name));
  const sorted = [...files].sort(byName);
  const twice = sorted.find((one, index) => index > 0 && one.name === sorted[index - 1].name);
  if (twice) throw new Error(`${twice.name} is there twice.`);
  let read = 0;
  const crcs = await crcsOf(sorted, (count) => onRead(read += count), signal);
  const [parts, directory] = [[], []];
  let offset = 0;
  sorted.forEach(({ name, file }, index) => {
    const encoded = encoder.encode(name);
    const fields = common(crcs[index], file.size, encoded.length);
    parts.push(record([4, 0x04034b50], ...fields), encoded, file);
    // Version of the maker, the shared fields, then comment, disk, and attributes: none.
    directory.push(record([4, 0x02014b50], [2, VERSION], ...fields, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), encoded);
    offset += LOCAL_BYTES + encoded.length + file.size;
  });
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, sorted.length], [2, sorted.length], [4, size], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** The names of the files in a ZIP archive; `null` if its directory cannot be read here, as with ZIP64. */
export async function namesInZip(blob) {
  const tail = await viewOf(blob, Math.max(0, blob.size - END_BYTES - 65_535), blob.size);
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) return null;
  const [count, size, start] = [tail.getUint16(end + 10, true), tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (count === MAX_FILES || start + size > blob.size) return null;
  const directory = await viewOf(blob, start, start + size);
  const decoder = new TextDecoder();
  const names = [];
  for (let at = 0; names.length < count; ) {
    if (at + CENTRAL_BYTES > size || directory.getUint32(at, true) !== 0x02014b50) return null;
    const [name, extra, comment] = [28, 30, 32].map((field) => directory.getUint16(at + field, true));
    if (at + CENTRAL_BYTES + name > size) return null;
    names.push(decoder.decode(new Uint8Array(directory.buffer, at + CENTRAL_BYTES, name)));
    at += CENTRAL_BYTES + name + extra + comment;
  }
  return names.filter((name) => !name.endsWith("/"));
}

const viewOf = async (blob, from, to) => new DataView(await blob.slice(from, to).arrayBuffer());
