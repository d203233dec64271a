/**
 * Streams: the one a row belongs to, and that none has a gap (docs/evidence.md 3 and 5, step 6).
 *
 * A case's stream is named by nothing but itself. The others are UUIDs of version 5 (RFC 9562) of
 * whom they are about, so that no agency can have two delivery logs.
 */

import { concat, fromHex, hex, utf8 } from "./bytes.js";
import { place } from "./manifest.js";
import { must } from "./refusal.js";

const NAMESPACE = fromHex("6f1a3f5e2f0e5d6c9a316a5f5a1c0b7e") ?? new Uint8Array();
const IN_PARTS = ["receipt", "delivery", "event"];

/** @type {Map<string, Promise<string>>} */
const known = new Map();

/**
 * UUID of version 5 in our namespace, hexadecimal.
 * @param {string} name @returns {Promise<string>}
 */
function streamNamed(name) {
  const made = known.get(name) ?? uuid5(name);
  if (known.size < 10_000) known.set(name, made);
  return made;
}

/** @param {string} name @returns {Promise<string>} */
async function uuid5(name) {
  const data = concat(NAMESPACE, utf8(name));
  const digest = await crypto.subtle.digest("SHA-1", /** @type {BufferSource} */ (data));
  const id = new Uint8Array(digest).slice(0, 16);
  id[6] = (id[6] & 0x0f) | 0x50;
  id[8] = (id[8] & 0x3f) | 0x80;
  return hex(id);
}

/** @param {import("./rows.js").Row} row @param {string} origin @returns {string | null} */
function ownerOf({ topic, why, value }, origin) {
  if (why === "hub") return `hub/${origin}`;
  if (why === "policy") return `policy/${origin}`;
  if (why === "register") return `agency/${value.agency}`;
  if (topic === "nrm.DeliveryLog.Sending") return `deliveries/${value.agency}`;
  return topic === "nrm.ReceiptLog.Received" ? `receipts/${value.agency}` : null;
}

/**
 * Each row is in the stream it belongs to.
 * @param {import("./rows.js").Row[]} rows @param {string} origin
 */
export async function checkOwners(rows, origin) {
  for (const row of rows) {
    const owner = ownerOf(row, origin);
    const own = owner === null || row.stream === (await streamNamed(owner));
    must(own, "bad_row", place(row.position));
  }
}

/**
 * No version twice, none missing in between; whole streams begin with 1.
 * @param {import("./rows.js").Row[]} rows
 */
export function checkVersions(rows) {
  /** @type {Map<string, number>} */
  const last = new Map();
  for (const { stream, version, why, position } of rows) {
    const before = last.get(stream) ?? 0;
    const fits = IN_PARTS.includes(why) ? version > before : version === before + 1;
    must(fits, "gap_in_stream", place(position));
    last.set(stream, version);
  }
}
