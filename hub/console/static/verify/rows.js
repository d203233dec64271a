/**
 * Steps 5 and 6: every row stands in the checkpoint's tree, decodes, and fits its stream.
 *
 * Rows are read with this verifier's own copies of the schemas, found by fingerprint.
 */

import { avroReader } from "./avro.js";
import { concat, hex, same } from "./bytes.js";
import { EVIDENCE, verifyTyped } from "./ed25519.js";
import { fingerprint } from "./fingerprint.js";
import { readJson } from "./json.js";
import { place } from "./manifest.js";
import { climb, leafHash, Nodes } from "./merkle.js";
import { must, Refusal } from "./refusal.js";
import { RowJson } from "./row-json.js";
import { sha256 } from "./sha256.js";
import { STORE } from "./store-schemas.js";
import { checkOwners, checkVersions } from "./streams.js";

/**
 * value: the decoded state; `json` what is JSON in it.
 * @typedef {{
 *   position: number, why: string, stream: string, version: number, topic: string, value: any,
 *   json: RowJson
 * }} Row
 *
 * @typedef {Array<{hash: Uint8Array, sibling: Uint8Array | null, left: boolean}>} Climb
 */

const ENTRY = Uint8Array.of(1);
const MOST_ROW_BYTES = 16 * 1024 * 1024;
const [MOST_EVENT_BYTES, MOST_PARTS, MOST_LEAVES] = [1024 * 1024, 64, 256]; // as admitted
const DEEPEST = 32;

/** What a row of a topic is in a bundle for. @type {Record<string, string[]>} */
const TOPICS = {
  "nrm.Hub.Initialised": ["hub"],
  "nrm.Agency.Enrolled": ["register"],
  "nrm.Agency.KeyAdded": ["register"],
  "nrm.Agency.KeyRevoked": ["register"],
  "nrm.Agency.SealingKeyChanged": ["register"],
  "nrm.Agreement.Signed": ["register"],
  "nrm.Agreement.Ended": ["register"],
  "nrm.PolicyProfile.Published": ["policy"],
  "nrm.PolicyProfile.Proposed": ["policy"],
  "nrm.PolicyProfile.Approved": ["policy"],
  "nrm.Case.EventAccepted": ["case", "event"],
  "nrm.Case.Settled": ["case"],
  "nrm.Case.HeldBack": ["case"],
  "nrm.Case.InFlight": ["case"],
  "nrm.DeliveryLog.Sending": ["delivery"],
  "nrm.ReceiptLog.Received": ["receipt"],
};

/**
 * Step 5. The way of each row's leaf up to the root, by position.
 * @param {import("./manifest.js").Members} members
 * @param {import("./manifest.js").Manifest} manifest
 * @param {import("./history.js").Head} head
 * @returns {Promise<Map<number, Climb>>}
 */
export async function checkInclusion(members, manifest, head) {
  const paths = readPaths(bytesOf(members, "log/paths"), manifest.rows.size);
  const nodes = new Nodes();
  const ways = new Map();
  const jobs = [...manifest.rows.keys()].map(async (position, at) => {
    const row = bytesOf(members, `rows/${place(position)}`);
    const leaf = await leafHash(concat(ENTRY, await sha256(row)));
    return { position, way: await climb(leaf, position - 1, head.size, paths[at], nodes) };
  });
  for (const { position, way } of await Promise.all(jobs)) {
    const stands = way !== null && same(way[way.length - 1].hash, head.root);
    must(stands, "not_in_log", place(position));
    ways.set(position, way);
  }
  return ways;
}

/** @param {Uint8Array} data @param {number} rows @returns {Uint8Array[][]} */
function readPaths(data, rows) {
  const paths = [];
  let at = 0;
  for (let row = 0; row < rows; row += 1) {
    must(at < data.length, "bad_paths");
    const count = data[at];
    must(data.length - at - 1 >= count * 32, "bad_paths");
    const hashes = [];
    for (let one = 0; one < count; one += 1) {
      hashes.push(data.subarray(at + 1 + one * 32, at + 33 + one * 32));
    }
    paths.push(hashes);
    at += 1 + count * 32;
  }
  must(at === data.length, "bad_paths");
  return paths;
}

/**
 * Step 6, first half: every row decoded.
 * @param {import("./manifest.js").Members} members
 * @param {import("./manifest.js").Manifest} manifest @returns {Row[]} in log order
 */
export function readRows(members, manifest) {
  const rows = [];
  for (const [position, why] of manifest.rows) {
    const where = place(position);
    const row = readRow(bytesOf(members, `rows/${where}`), position, why);
    rows.push(row);
  }
  return rows;
}

/** @param {Uint8Array} raw @param {number} position @param {string} why @returns {Row} */
function readRow(raw, position, why) {
  const where = place(position);
  const named = raw[20] ?? 0;
  const [topic, state] = [ascii(raw.subarray(21, 21 + named)), raw.subarray(21 + named)];
  must(Object.hasOwn(TOPICS, topic), "newer_version", where);
  const event = topic === "nrm.Case.EventAccepted";
  must(raw.length <= (event ? MOST_EVENT_BYTES : MOST_ROW_BYTES), "bad_row", where);
  must(TOPICS[topic].includes(why), "bad_row", where);
  must(state[0] === 0xc3 && state[1] === 1, "bad_row", where);
  const form = forms().get(hex(state.subarray(2, 10)));
  must(form?.topic === topic, "newer_version", where);
  let value;
  try {
    value = form.read(state.subarray(10));
  } catch {
    throw new Refusal("bad_row", where);
  }
  const { compartments = [], leaves = [] } = value;
  const most = compartments.length <= MOST_PARTS && leaves.length <= MOST_LEAVES;
  must(!event || most, "bad_row", where);
  return {
    position,
    why,
    stream: hex(raw.subarray(0, 16)),
    version: new DataView(raw.buffer, raw.byteOffset + 16, 4).getUint32(0),
    topic,
    value,
    json: new RowJson(value),
  };
}

/** @param {Uint8Array} raw @returns {string} */
function ascii(raw) {
  return String.fromCharCode(...raw);
}

/** @type {Map<string, {topic: string, read: (data: Uint8Array) => any}> | null} */
let compiled = null;

function forms() {
  compiled ??= new Map(
    Object.entries(STORE).map(([fingerprint, { topic, schema }]) => [
      fingerprint,
      { topic, read: avroReader(schema) },
    ]),
  );
  return compiled;
}

/**
 * Step 6, second half: whose log it is, the hub's signature under the manifest, and streams.
 * @param {import("./manifest.js").Members} members @param {Row[]} rows
 * @param {import("./manifest.js").Manifest} manifest
 * @returns {Promise<Uint8Array>} the hub's public key
 */
export async function checkRows(members, rows, manifest) {
  const [first] = rows;
  must(first.topic === "nrm.Hub.Initialised" && first.version === 1, "bad_row", place(1));
  must(first.value.hub === manifest.origin, "wrong_hub");
  await checkOwners(rows, manifest.origin);
  const { raw, signature } = manifest;
  const holds = await verifyTyped(first.value.public, EVIDENCE, raw, signature);
  must(holds, "bad_hub_signature");
  checkVersions(rows);
  checkSchemas(members);
  return first.value.public;
}

/** Schemas in the file are for people, and have to be what they are called. */
function checkSchemas(/** @type {import("./manifest.js").Members} */ members) {
  for (const [name, { data }] of members) {
    if (!name.startsWith("schemas/store/")) continue;
    let right = "";
    try {
      right = fingerprint(readJson(data, DEEPEST));
    } catch {
      right = "";
    }
    must(right === name.slice("schemas/store/".length), "bad_row", name);
  }
}

/** @param {import("./manifest.js").Members} members @param {string} name @returns {Uint8Array} */
export function bytesOf(members, name) {
  const found = members.get(name);
  must(found, "member_missing", name);
  return found.data;
}
