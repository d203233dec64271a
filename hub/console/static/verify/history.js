/** Steps 3 and 4: the signed checkpoint, who cosigned it, and whether history was rewritten. */

import { text } from "./bytes.js";
import { consistent } from "./merkle.js";
import { NoteError, readCheckpoint, readKey, readNote, signersOf } from "./note.js";
import { must, Refusal } from "./refusal.js";
import { same } from "./bytes.js";

/**
 * What was given from outside.
 * @typedef {{
 *   logKey: import("./note.js").VerifierKey | null, witnesses: import("./note.js").VerifierKey[],
 *   quorum: number, earlier: Uint8Array | null
 * }} Trust
 *
 * @typedef {import("./note.js").Checkpoint & {
 *   note: import("./note.js").Note, key: import("./note.js").VerifierKey, written: string,
 *   given: boolean, cosigned: string[]
 * }} Head
 */

/**
 * Step 3.
 * @param {import("./manifest.js").Members} members
 * @param {import("./manifest.js").Manifest} manifest @param {Trust} trust
 * @returns {Promise<Head>}
 */
export async function checkHead(members, manifest, trust) {
  const { note, head } = opened(member(members, "log/checkpoint"));
  let written = "";
  let inside;
  try {
    written = text(member(members, "log/vkey")).trim();
    inside = await readKey(written);
  } catch {
    throw new Refusal("bad_checkpoint", "log/vkey");
  }
  const key = trust.logKey ?? inside;
  must(key.type === 1, "wrong_log");
  const named = head.origin === manifest.origin && head.size === manifest.treeSize;
  must(named, "bad_checkpoint");
  const one = key.name === inside.name && same(key.id, inside.id) && same(key.key, inside.key);
  must(one && key.name === head.origin && inside.type === 1, "wrong_log");
  must((await signers(note, [key])).length > 0, "wrong_log");
  const cosigned = new Set((await signers(note, trust.witnesses)).map((found) => found.key.name));
  must(cosigned.size >= trust.quorum, "few_witnesses", `${cosigned.size} < ${trust.quorum}`);
  return { ...head, note, key, written, given: trust.logKey !== null, cosigned: [...cosigned] };
}

/**
 * Step 4. What became of a checkpoint given from outside: "none", "proved" or "not_provable".
 * @param {import("./manifest.js").Members} members @param {Head} head @param {Trust} trust
 * @returns {Promise<{shown: number | null, outside: string, size: number}>}
 */
export async function checkHistory(members, head, trust) {
  /** @type {import("./note.js").Checkpoint | null} */
  let shown = null;
  if (members.has("log/earlier")) {
    shown = await signedByTheLog(member(members, "log/earlier"), head);
    const proof = cut(member(members, "log/consistency"));
    must(proof, "bad_checkpoint", "log/consistency");
    const holds = shown.size > 0 && (await consistent(shown.size, shown.root, head.size, head.root, proof));
    must(holds, "fork", `${shown.size}, ${head.size}`);
  }
  const answer = { shown: shown && shown.size, outside: "none", size: 0 };
  if (!trust.earlier) return answer;
  const known = await signedByTheLog(trust.earlier, head);
  answer.size = known.size;
  answer.outside = "not_provable";
  for (const one of [head, shown]) {
    if (one?.size !== known.size) continue;
    must(same(one.root, known.root), "fork", String(known.size));
    answer.outside = "proved";
    break;
  }
  return answer;
}

/**
 * Joined hashes of 32 bytes, one by one; null if something is left over.
 * @param {Uint8Array} data @returns {Uint8Array[] | null}
 */
export function cut(data) {
  if (data.length % 32) return null;
  return Array.from({ length: data.length / 32 }, (_, at) => data.subarray(at * 32, at * 32 + 32));
}

/** @param {Uint8Array} data @param {Head} head */
async function signedByTheLog(data, head) {
  const { note, head: known } = opened(data);
  must(known.origin === head.origin, "bad_checkpoint");
  must((await signers(note, [head.key])).length > 0, "wrong_log");
  return known;
}

/** @param {Uint8Array} data */
function opened(data) {
  try {
    const note = readNote(data);
    return { note, head: readCheckpoint(note.text) };
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    throw new Refusal("bad_checkpoint", error.message);
  }
}

/** @param {import("./note.js").Note} note @param {import("./note.js").VerifierKey[]} keys */
async function signers(note, keys) {
  try {
    return await signersOf(note, keys);
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    throw new Refusal("bad_log_signature", error.message);
  }
}

/** @param {import("./manifest.js").Members} members @param {string} name */
function member(members, name) {
  const found = members.get(name);
  must(found, "member_missing", name);
  return found.data;
}
