/**
 * BLAKE3, the unkeyed hash of 32 bytes, after the specification
 * (https://github.com/BLAKE3-team/BLAKE3-specs). Words are unsigned 32-bit numbers, little-endian.
 */

const IV = Uint32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);
/** How the words of a block are permuted after each round. */
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const ROUNDS = 7;
const BLOCK = 64;
const CHUNK = 1024;
const CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8;
/** For each round, the order in which the words of the block go in. */
const SCHEDULE = (() => {
  const schedule = [];
  let order = Array.from({ length: 16 }, (_, word) => word);
  for (let round = 0; round < ROUNDS; round += 1) {
    schedule.push(...order);
    order = PERMUTATION.map((word) => order[word]);
  }
  return Uint8Array.from(schedule);
})();

// Used again by each compression: a journal has millions of blocks.
const state = new Uint32Array(16);
const words = new Uint32Array(16);

function mix(a, b, c, d, first, second) {
  let va = state[a], vb = state[b], vc = state[c], vd = state[d];
  va = (va + vb + first) | 0;
  vd ^= va;
  vd = (vd >>> 16) | (vd << 16);
  vc = (vc + vd) | 0;
  vb ^= vc;
  vb = (vb >>> 12) | (vb << 20);
  va = (va + vb + second) | 0;
  vd ^= va;
  vd = (vd >>> 8) | (vd << 24);
  vc = (vc + vd) | 0;
  vb ^= vc;
  vb = (vb >>> 7) | (vb << 25);
  state[a] = va;
  state[b] = vb;
  state[c] = vc;
  state[d] = vd;
}

/** Mixes the columns of the state, then its diagonals. */
function round(at) {
  mix(0, 4, 8, 12, words[SCHEDULE[at]], words[SCHEDULE[at + 1]]);
  mix(1, 5, 9, 13, words[SCHEDULE[at + 2]], words[SCHEDULE[at + 3]]);
  mix(2, 6, 10, 14, words[SCHEDULE[at + 4]], words[SCHEDULE[at + 5]]);
  mix(3, 7, 11, 15, words[SCHEDULE[at + 6]], words[SCHEDULE[at + 7]]);
  mix(0, 5, 10, 15, words[SCHEDULE[at + 8]], words[SCHEDULE[at + 9]]);
  mix(1, 6, 11, 12, words[SCHEDULE[at + 10]], words[SCHEDULE[at + 11]]);
  mix(2, 7, 8, 13, words[SCHEDULE[at + 12]], words[SCHEDULE[at + 13]]);
  mix(3, 4, 9, 14, words[SCHEDULE[at + 14]], words[SCHEDULE[at + 15]]);
}

/** Compresses the block in `words` into the chaining value `value`. */
function compress(value, counter, length, flags) {
  for (let word = 0; word < 8; word += 1) state[word] = value[word];
  for (let word = 0; word < 4; word += 1) state[word + 8] = IV[word];
  state[12] = counter;
  state[13] = counter / 2 ** 32;
  state[14] = length;
  state[15] = flags;
  for (let at = 0; at < SCHEDULE.length; at += 16) round(at);
  for (let word = 0; word < 8; word += 1) value[word] = state[word] ^ state[word + 8];
}

/** Puts the bytes of a block into `words`, and zeros after them. */
function load(bytes, from, to) {
  for (let word = 0; word < 16; word += 1) {
    const at = from + 4 * word;
    if (at + 4 <= to) {
      words[word] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      continue;
    }
    words[word] = 0;
    for (let byte = at; byte < to; byte += 1) words[word] |= bytes[byte] << (8 * (byte - at));
  }
}

/** The chaining value of one chunk: at most 1,024 bytes, its blocks one after the other. */
function chunkValue(bytes, from, to, counter, root) {
  const value = Uint32Array.from(IV);
  let start = CHUNK_START;
  let at = from;
  do {
    const end = Math.min(at + BLOCK, to);
    load(bytes, at, end);
    compress(value, counter, end - at, start | (end === to ? CHUNK_END | root : 0));
    start = 0;
    at = end;
  } while (at < to);
  return value;
}

/** The chaining value of a subtree. Its left part has as many chunks as possible that are a power of two. */
function treeValue(bytes, from, to, counter, root) {
  const length = to - from;
  if (length <= CHUNK) return chunkValue(bytes, from, to, counter, root);
  const chunks = 1 << (31 - Math.clz32(Math.ceil(length / CHUNK) - 1));
  const middle = from + chunks * CHUNK;
  const left = treeValue(bytes, from, middle, counter, 0);
  const right = treeValue(bytes, middle, to, counter + chunks, 0);
  words.set(left);
  words.set(right, 8);
  const value = Uint32Array.from(IV);
  compress(value, 0, BLOCK, PARENT | root);
  return value;
}

/** The hash of a `Uint8Array`, as 32 bytes. */
export function blake3(bytes) {
  const value = treeValue(bytes, 0, bytes.length, 0, ROOT);
  const digest = new Uint8Array(32);
  for (let at = 0; at < 32; at += 1) digest[at] = value[at >> 2] >>> (8 * (at & 3));
  return digest;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Bytes as lower-case hexadecimal digits. */
export function toHex(bytes) {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** The bytes that hexadecimal digits stand for. */
export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}
