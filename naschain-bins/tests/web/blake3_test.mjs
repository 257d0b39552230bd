// Run with `node --test naschain-bins/tests/web/`.
//
// The hashes were made with the Python package blake3 1.0.11, which wraps the reference
// implementation in Rust:
//
//     import blake3
//     for n in (0, 1, 63, 64, …):
//         print(n, blake3.blake3(bytes(i % 251 for i in range(n))).hexdigest())

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

// From its text, because a file named .js is an ES module for browsers, but not for every Node.
const source = await readFile(new URL("../../assets/blake3.js", import.meta.url), "utf8");
const { blake3, fromHex, toHex } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const HASHES = [
  [0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
  [1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"],
  [63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"],
  [64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"],
  [65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"],
  [127, "d81293fda863f008c09e92fc382a81f5a0b4a1251cba1634016a0f86a6bd640d"],
  [128, "f17e570564b26578c33bb7f44643f539624b05df1a76c81f30acd548c44b45ef"],
  [1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"],
  [1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"],
  [1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"],
  [2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"],
  [2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"],
  [3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"],
  [3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"],
  [5000, "ee78d92070de3df1c57c37002abf0a6b1a6589acdeef4d8ffac7cf3d9e8f2836"],
  [8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"],
  [31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"],
  [102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"],
];

const pattern = (length) => Uint8Array.from({ length }, (_, at) => at % 251);

for (const [length, hash] of HASHES) {
  test(`the hash of ${length} bytes`, () => assert.equal(toHex(blake3(pattern(length))), hash));
}

test("a part of a buffer has the hash of its own bytes", () => {
  const whole = new Uint8Array(3100).fill(7);
  whole.set(pattern(3072), 5);
  assert.equal(toHex(blake3(whole.subarray(5, 3077))), toHex(blake3(pattern(3072))));
});

test("hexadecimal digits and bytes", () => {
  assert.equal(toHex(Uint8Array.of(0, 15, 255)), "000fff");
  assert.deepEqual(fromHex("000fff"), Uint8Array.of(0, 15, 255));
  assert.deepEqual(fromHex(""), new Uint8Array());
});
