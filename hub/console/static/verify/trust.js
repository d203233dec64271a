/** What a person trusts: log key, witnesses, quorum, an earlier checkpoint; kept if they like. */

import { utf8 } from "./bytes.js";
import { readCheckpoint, readKey, readNote } from "./note.js";

const PLACE = "nrm-verify-trust";
const FIELDS = ["log-key", "witnesses", "quorum"];

/** What was typed is not what it should be; the message is a key of texts.js. */
export class WrongTrust extends Error {
  /** @param {string} key @param {string} field @param {Record<string, any>} [values] */
  constructor(key, field, values = {}) {
    super(key);
    this.key = key;
    this.field = field;
    this.values = values;
  }
}

/**
 * @param {{logKey: string, witnesses: string, quorum: string, earlier: string}} typed
 * @returns {Promise<import("./history.js").Trust>} throws WrongTrust
 */
export async function readTrust(typed) {
  const trust = {
    logKey: typed.logKey.trim() ? await key(typed.logKey, "wrong_log_key", "log-key") : null,
    witnesses: /** @type {import("./note.js").VerifierKey[]} */ ([]),
    quorum: Number(typed.quorum) || 0,
    earlier: /** @type {Uint8Array | null} */ (null),
  };
  if (trust.logKey && trust.logKey.type !== 1) throw new WrongTrust("wrong_log_key", "log-key");
  for (const [at, line] of typed.witnesses.split("\n").entries()) {
    if (!line.trim()) continue;
    const witness = await key(line, "wrong_witness", "witnesses", { line: at + 1 });
    if (witness.type !== 4) throw new WrongTrust("wrong_witness", "witnesses", { line: at + 1 });
    trust.witnesses.push(witness);
  }
  const names = new Set(trust.witnesses.map((one) => one.name));
  const fits = Number.isInteger(trust.quorum) && trust.quorum >= 0 && trust.quorum <= names.size;
  if (!fits) throw new WrongTrust("wrong_quorum", "quorum");
  if (typed.earlier.trim()) {
    const note = utf8(`${typed.earlier.replaceAll("\r", "").trim()}\n`);
    try {
      readCheckpoint(readNote(note).text);
    } catch {
      throw new WrongTrust("wrong_earlier", "earlier");
    }
    trust.earlier = note;
  }
  return trust;
}

/**
 * @param {string} written @param {string} wrong @param {string} field
 * @param {Record<string, any>} [values]
 */
async function key(written, wrong, field, values = {}) {
  try {
    return await readKey(written.trim());
  } catch {
    throw new WrongTrust(wrong, field, values);
  }
}

/**
 * Kept keys, or null. Browsers may refuse to keep anything.
 * @returns {Record<string, string> | null}
 */
export function kept() {
  try {
    const read = JSON.parse(localStorage.getItem(PLACE) ?? "null");
    if (typeof read !== "object" || read === null) return null;
    return Object.fromEntries(FIELDS.map((name) => [name, String(read[name] ?? "")]));
  } catch {
    return null;
  }
}

/** @param {Record<string, string> | null} typed null: keep nothing */
export function keep(typed) {
  try {
    if (typed === null) localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, JSON.stringify(typed));
  } catch {
    // Then it is typed again next time.
  }
}
