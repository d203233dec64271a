/**
 * Signed notes and the checkpoints in them (C2SP signed-note, tlog-checkpoint, tlog-cosignature).
 *
 * Strict as docs/formats.md, section 10. Signatures by keys nobody named are ignored; one that names
 * a known key and fails refuses the note. Everything here throws `NoteError`.
 */

import { concat, fromBase64, hex, same, text, utf8 } from "./bytes.js";
import { usableKey, verifyRaw } from "./ed25519.js";
import { sha256 } from "./sha256.js";

const ED25519 = 1;
const COSIGNATURE = 4;
const MOST_BYTES = 1_000_000;
const MOST_SIGNATURES = 100;
const KEY_ID = /^[0-9a-f]{8}$/;
const DECIMAL = /^(?:0|[1-9][0-9]{0,18})$/;
const SPACE = /\s|[\u001c-\u001f\u0085]/;

export class NoteError extends Error {
  /** @param {string} message @param {boolean} [signature] whether a signature does not hold */
  constructor(message, signature = false) {
    super(message);
    this.signature = signature;
  }
}

/**
 * @typedef {{name: string, type: number, key: Uint8Array, id: Uint8Array}} VerifierKey
 * @typedef {{name: string, id: Uint8Array, signature: Uint8Array}} Line
 * @typedef {{text: string, lines: Line[]}} Note
 * @typedef {{origin: string, size: number, root: Uint8Array}} Checkpoint
 */

/** @param {boolean} holds @param {string} message @returns {asserts holds} */
function check(holds, message) {
  if (!holds) throw new NoteError(message);
}

/** @param {string} name @returns {boolean} */
function nameFits(name) {
  return name !== "" && !name.includes("+") && !SPACE.test(name) && !hasControl(name, "");
}

/** @param {string} string @param {string} allowed @returns {boolean} */
function hasControl(string, allowed) {
  return [...string].some((one) => one < " " && !allowed.includes(one));
}

/**
 * A key from its text `name+id+base64`; the id in it must be the right one.
 * @param {string} written @returns {Promise<VerifierKey>}
 */
export async function readKey(written) {
  const [name, id, ...rest] = written.split("+");
  check(rest.length > 0 && KEY_ID.test(id), "not a verifier key");
  const material = fromBase64(rest.join("+"));
  check(material !== null && material.length > 0 && nameFits(name), "not a verifier key");
  const [type, key] = [material[0], material.subarray(1)];
  check(type === ED25519 || type === COSIGNATURE, "a verifier key of a type not used here");
  check(usableKey(key), "not a usable Ed25519 key");
  const digest = await sha256(concat(utf8(`${name}\n`), material));
  check(hex(digest.subarray(0, 4)) === id, "the verifier key does not match its own id");
  return { name, type, key, id: digest.subarray(0, 4) };
}

/** @param {Uint8Array} data @returns {Note} */
export function readNote(data) {
  check(data.length <= MOST_BYTES, "the note is too long");
  let whole = "";
  try {
    whole = text(data);
  } catch {
    throw new NoteError("a note is valid UTF-8");
  }
  const blank = whole.lastIndexOf("\n\n");
  check(blank >= 0 && whole.endsWith("\n"), "no signatures below the text");
  const below = whole.slice(blank + 2);
  check(below !== "", "no signatures below the text");
  const lines = below.slice(0, -1).split("\n");
  check(lines.length <= MOST_SIGNATURES, "the note has too many signatures");
  const body = whole.slice(0, blank + 1);
  check(!hasControl(body, "\n"), "a note has no control characters");
  return { text: body, lines: lines.map(readLine) };
}

/** @param {string} line @returns {Line} */
function readLine(line) {
  check(line.startsWith("— "), "not a signature line");
  const rest = line.slice(2);
  const space = rest.indexOf(" ");
  const name = rest.slice(0, space);
  check(space > 0 && nameFits(name), "not a signature line");
  const blob = fromBase64(rest.slice(space + 1));
  check(blob !== null && blob.length >= 5, "not a signature line");
  return { name, id: blob.subarray(0, 4), signature: blob.subarray(4) };
}

/** @param {string} body the text of a note @returns {Checkpoint} */
export function readCheckpoint(body) {
  const lines = body.split("\n");
  check(lines.length >= 4 && lines.at(-1) === "", "a checkpoint has at least three lines");
  const [origin, size, encoded, ...extensions] = lines.slice(0, -1);
  check(origin !== "" && extensions.every((one) => one !== ""), "a line of a checkpoint is empty");
  check(DECIMAL.test(size) && Number.isSafeInteger(Number(size)), "not a size");
  const root = fromBase64(encoded);
  check(root !== null && root.length === 32, "not a root");
  return { origin, size: Number(size), root };
}

/**
 * Which of the known keys signed. Throws if one of them is named and its signature does not hold.
 * @param {Note} note @param {VerifierKey[]} known
 * @returns {Promise<Array<{key: VerifierKey, time: number | null}>>} each key once
 */
export async function signersOf(note, known) {
  /** @type {Map<VerifierKey, {key: VerifierKey, time: number | null}>} */
  const found = new Map();
  for (const line of note.lines) {
    const key = known.find((one) => one.name === line.name && same(one.id, line.id));
    if (!key) continue;
    const signed = await verifyLine(note.text, line, key);
    if (!found.has(key)) found.set(key, signed);
  }
  return [...found.values()];
}

/** @param {string} body @param {Line} line @param {VerifierKey} key */
async function verifyLine(body, line, key) {
  let [message, signature] = [utf8(body), line.signature];
  let time = null;
  if (key.type === COSIGNATURE) {
    if (signature.length !== 72) throw new NoteError("a cosignature has 72 bytes", true);
    const seconds = new DataView(signature.buffer, signature.byteOffset, 8).getBigUint64(0);
    if (seconds >= 2n ** 63n) throw new NoteError("the time of a cosignature", true);
    time = Number(seconds);
    message = utf8(`cosignature/v1\ntime ${seconds}\n${body}`);
    signature = signature.subarray(8);
  }
  if (!(await verifyRaw(key.key, message, signature))) {
    throw new NoteError("a signature by a known key does not hold", true);
  }
  return { key, time };
}
