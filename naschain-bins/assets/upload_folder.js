/** What a folder or file that somebody has chosen holds: its classes, and what is wrong with it. */

import { counted, number } from "./dom.js";
import { contentKey, crc32, namesInZip, tooLarge } from "./zip.js";

/** Files of pictures by their names; the same as the genomaster's. */
const PICTURE = /\.(png|jpe?g|webp|gif|bmp)$/i;
const ARCHIVE = /\.(zip|tar|tgz|tar\.gz|npz)$/i;
/** Folders of the test set, in order of preference; the same as the genomaster's. */
const TESTS = ["val", "valid", "validation", "test"];
/** A class of fewer pictures is too small to be learnt well. */
const FEW = 20;
/** How many times as many pictures the largest class may have as the smallest. */
const MAX_IMBALANCE = 40;
/** One of this many pictures of a class is for the test where there is no folder for it. */
const TEST_SHARE = 5;
/** The genomaster refuses larger files. */
const MAX_FILE_BYTES = 64 << 20;
const NO_CLASS = "not in the folder of a class";
/** How many names a message has. */
const MAX_NAMED = 5;

/** The files of `<input type=file>`, with their paths in a chosen folder. */
export const filesOfInput = (input) => [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

/** The files that were dropped, with those in folders. */
export async function filesOfDrop(transfer) {
  // The list is empty after the event: entries have to be taken before the first `await`.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const files = [];
  for (const entry of entries) await walk(entry, files);
  return files;
}

async function walk(entry, files) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    files.push({ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // At most a hundred a call; none means the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inside of some) await walk(inside, files);
  }
}

/**
 * What was chosen: `{kind: "folder"|"archive", name, fileName, files, classes, pictures, leftOut, problems, warnings}`.
 * With `problems` it cannot be uploaded. `classes` is `null` where only the genomaster can read them.
 */
export async function inspect(chosen) {
  if (chosen.length === 1 && ARCHIVE.test(chosen[0].file.name)) return inspectArchive(chosen[0].file);
  const folder = sorted(chosen.map(({ path, file }) => ({ path, file, size: file.size })));
  const name = chosen[0]?.path.includes("/") ? folder.root : "";
  const problem = folder.files.length ? tooLarge(folder.files) : null;
  if (problem) folder.problems.push(problem);
  if (!folder.files.length && chosen.some(({ path }) => ARCHIVE.test(path))) {
    folder.problems = ["Choose one archive (.zip, .tar, .tar.gz or .npz), or a folder of pictures, not several archives."];
  }
  const fileName = `${slug(name)}-${contentKey(folder.files)}.zip`;
  return { kind: "folder", name, fileName, ...folder };
}

async function inspectArchive(file) {
  const [, stem, ending] = file.name.match(/^(.*?)\.(zip|tar|tgz|tar\.gz|npz)$/i) ?? [null, file.name, "zip"];
  // Archives of arrays often have the same size with other contents: the time of the last change tells them apart.
  const key = crc32(new TextEncoder().encode(`${file.name}\0${file.size}\0${file.lastModified}`));
  const fileName = `${slug(stem)}-${key.toString(16).padStart(8, "0")}.${ending.toLowerCase()}`;
  const found = { kind: "archive", name: stem, fileName, file, classes: null, hasTest: false, leftOut: [], problems: [], warnings: [] };
  if (!file.size) found.problems.push(`${file.name} is empty.`);
  const names = /^zip$/i.test(ending) ? await namesInZip(file).catch(() => null) : null;
  if (!names) return found;
  if (names.some((one) => one.endsWith(".npy"))) return found;
  const { classes, hasTest, leftOut, pictures, problems, warnings } = sorted(names.map((path) => ({ path, size: 0 })));
  return { ...found, classes, hasTest, leftOut, pictures, problems: [...found.problems, ...problems], warnings };
}

/** A name for a file, of letters and digits. */
const slug = (name) => name.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "pictures";

/** Folders above all files, which the genomaster leaves out as well. */
function rootOf(paths) {
  const split = paths.map((path) => path.split("/"));
  let depth = 0;
  while (split.length && split.every((parts) => parts.length > depth + 1 && parts[depth] === split[0][depth])) depth += 1;
  return split[0]?.slice(0, depth) ?? [];
}

/** Sorts files into classes, and checks them as the genomaster will. */
function sorted(all) {
  const leftOut = [];
  const isHidden = (path) => path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX" || /^(Thumbs\.db|desktop\.ini)$/i.test(part));
  const shown = all.filter(({ path }) => !isHidden(path));
  const root = rootOf(shown.map(({ path }) => path));
  const cut = root.length ? root.join("/").length + 1 : 0;
  const inside = shown.map((one) => ({ ...one, name: one.path.slice(cut) }));
  const parts = partsOf(inside.map(({ name }) => name));
  const classes = new Map();
  const files = [];
  for (const one of inside) {
    const found = one.name.match(parts.pattern);
    const reason = reasonToLeaveOut(one, found);
    if (reason) {
      leftOut.push({ path: one.path, reason });
      continue;
    }
    const [part, label] = [found.groups.part ?? parts.train, found.groups.label];
    const count = classes.get(label) ?? { name: label, train: 0, test: 0 };
    count[part === parts.test && parts.test ? "test" : "train"] += 1;
    classes.set(label, count);
    files.push({ name: one.name, file: one.file });
  }
  const list = [...classes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const hasTest = parts.test !== null;
  const pictures = inside.filter(({ name }) => PICTURE.test(name));
  const found = { pictures: pictures.length, pictureBytes: pictures.reduce((sum, one) => sum + one.size, 0) };
  return { root: root.at(-1) ?? "", files, classes: list, hasTest, leftOut, ...found, ...judged(list, hasTest, parts.test, root, leftOut) };
}

/** Whether pictures are in `train/CLASS/FILE` and a folder for the test, or in `CLASS/FILE`. */
function partsOf(names) {
  const hasTrain = names.some((name) => /^train\/[^/]+\//.test(name));
  if (!hasTrain) return { train: null, test: null, pattern: /^(?<label>[^/]+)\/[^/]+$/ };
  const test = TESTS.find((one) => names.some((name) => name.startsWith(`${one}/`))) ?? null;
  const pattern = new RegExp(`^(?<part>train${test ? `|${test}` : ""})/(?<label>[^/]+)/[^/]+$`);
  return { train: "train", test, pattern };
}

function reasonToLeaveOut(one, found) {
  if (!PICTURE.test(one.name)) return "no picture by its name";
  if (!found) return NO_CLASS;
  if (one.name.includes("\\")) return "its name has a backslash";
  if (one.size > MAX_FILE_BYTES) return "larger than 64 MiB";
  return null;
}

const named = (list) => list.slice(0, MAX_NAMED).join(", ") + (list.length > MAX_NAMED ? ` and ${number(list.length - MAX_NAMED)} more` : "");

function judged(classes, hasTest, testName, root, leftOut) {
  const [problems, warnings] = [[], []];
  const layout = "Put the pictures of each class into a folder of its own, such as daisy/1.jpg and rose/1.jpg, "
    + "and choose the folder that contains these folders.";
  if (!classes.length) {
    const isFlat = leftOut.some(({ reason }) => reason === NO_CLASS);
    problems.push(isFlat
      ? `All pictures are in one folder${root.length ? `, ${root.at(-1)}` : ""}: a network needs at least two classes to tell apart. ${layout}`
      : `There are no pictures (.png, .jpg, .webp, .gif, .bmp) here. ${layout}`);
    return { problems, warnings };
  }
  if (classes.length === 1) problems.push(`There is a single class, ${classes[0].name}: a network needs at least two to tell apart. ${layout}`);
  if (hasTest) {
    const lacking = [["train", "test", testName], ["test", "train", "train"]].flatMap(([has, lacks, where]) =>
      classes.filter((one) => one[has] && !one[lacks]).map((one) => `${where}/${one.name}`));
    if (lacking.length) {
      problems.push(`These folders have no pictures, although the other part has some: ${named(lacking)}. Both parts need the same classes.`);
    }
  } else {
    const single = classes.filter((one) => one.train < 2).map((one) => one.name);
    if (single.length) {
      problems.push(`These classes have one picture: ${named(single)}. Each needs at least two, because a fifth is kept for the test. `
        + "Add pictures, or take the folder away.");
    }
  }
  const few = classes.filter((one) => one.train < FEW);
  if (few.length) {
    const list = few.map((one) => `${one.name} (${one.train})`);
    const [which, them] = few.length === 1 ? ["A class has", "it"] : [`${number(few.length)} classes have`, "them"];
    const share = hasTest ? "" : ", of which a fifth is kept for the test";
    warnings.push(`${which} fewer than ${FEW} pictures: ${named(list)}${share}. `
      + `Networks will learn ${them} badly; a hundred or more a class are better.`);
  }
  const most = Math.max(...classes.map((one) => one.train));
  const least = Math.min(...classes.map((one) => one.train));
  if (most > MAX_IMBALANCE * least) {
    warnings.push(`The largest class has ${counted(most, "picture")}, the smallest ${number(least)}: networks will hardly ever answer with the small ones.`);
  }
  return { problems, warnings };
}

/** How many pictures of a class are kept for the test. */
export const testShare = (one, hasTest) => (hasTest ? one.test : Math.max(Math.floor(one.train / TEST_SHARE), 1));
