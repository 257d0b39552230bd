/** What upload_folder.js finds in folders. Run with `node --test`. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

// dom.js reads the settings of the page.
globalThis.document = { body: { dataset: {} } };

/** A module from its text, because a file named .js is an ES module for browsers, but not for every Node. */
function address(name) {
  const source = readFileSync(new URL(`../../assets/${name}`, import.meta.url), "utf8");
  const joined = source.replace(/from "\.\/([\w.]+)"/g, (_, inner) => `from "${address(inner)}"`);
  return `data:text/javascript,${encodeURIComponent(joined)}`;
}

const { inspect, testShare } = await import(address("upload_folder.js"));
const { makeZip } = await import(address("zip.js"));

const list = (...paths) => paths.map((path) => ({ path, file: new File(["x".repeat(path.length)], path.split("/").at(-1)) }));
const many = (dir, count) => Array.from({ length: count }, (_, index) => `${dir}/${index}.png`);

test("classes are folders, and the folder above them is left away", async () => {
  const found = await inspect(list(...many("flowers/rose", 25), ...many("flowers/daisy", 30), "flowers/notes.txt", "flowers/.DS_Store", "flowers/rose/deeper/1.png"));
  assert.deepEqual(found.classes, [{ name: "daisy", train: 30, test: 0 }, { name: "rose", train: 25, test: 0 }]);
  assert.equal(found.files.length, 55);
  assert.equal(found.files[0].name, "rose/0.png");
  assert.deepEqual(found.leftOut, [
    { path: "flowers/notes.txt", reason: "no picture by its name" },
    { path: "flowers/rose/deeper/1.png", reason: "not in the folder of a class" },
  ]);
  assert.deepEqual([found.problems, found.warnings], [[], []]);
  assert.match(found.fileName, /^flowers-[0-9a-f]{8}\.zip$/);
  assert.deepEqual(found.classes.map((one) => testShare(one, found.hasTest)), [6, 5]);
});

test("a folder for the test", async () => {
  const found = await inspect(list(...many("d/train/a", 20), ...many("d/train/b", 20), ...many("d/val/a", 3), ...many("d/val/b", 4), ...many("d/test/a", 9)));
  assert.deepEqual(found.classes, [{ name: "a", train: 20, test: 3 }, { name: "b", train: 20, test: 4 }]);
  assert.equal(found.hasTest, true);
  // `val` comes first; `test` of ImageNet has no labels.
  assert.equal(found.leftOut.length, 9);
  const lacking = await inspect(list(...many("train/a", 20), ...many("train/b", 20), ...many("test/a", 3)));
  assert.match(lacking.problems[0], /test\/b/);
});

test("thin data, single classes and empty folders are named", async () => {
  const thin = await inspect(list(...many("a", 19), ...many("b", 1), ...many("c", 50)));
  assert.match(thin.warnings[0], /a \(19\), b \(1\)/);
  assert.match(thin.problems[0], /one picture: b/);
  assert.match((await inspect(list(...many("d/only", 9)))).problems[0], /All pictures are in one folder, only/);
  assert.match((await inspect(list("d/1.txt", "d/2.txt"))).problems[0], /There are no pictures/);
  assert.match((await inspect(list(...many("a", 5), "x.zip"))).problems[0], /single class/);
});

test("archives are sent as they are; the directory of a ZIP shows its classes", async () => {
  const zip = await makeZip(list(...many("a", 20), ...many("b", 21)).map(({ path, file }) => ({ name: `top/${path}`, file })));
  const found = await inspect([{ path: "my set.ZIP", file: new File([zip], "my set.ZIP") }]);
  assert.deepEqual([found.kind, found.name], ["archive", "my set"]);
  assert.deepEqual(found.classes, [{ name: "a", train: 20, test: 0 }, { name: "b", train: 21, test: 0 }]);
  const tar = await inspect([{ path: "x.tar.gz", file: new File(["abc"], "x.tar.gz") }]);
  assert.equal(tar.classes, null);
  assert.match(tar.fileName, /^x-[0-9a-f]{8}\.tar\.gz$/);
});
