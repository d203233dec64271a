/**
 * Step 9: the sealed compartments are those the agency committed to, and opened ones are they.
 */

import { compare, same, text, uuid } from "./bytes.js";
import { place } from "./manifest.js";
import { leafHash, rootOf } from "./merkle.js";
import { must, Refusal } from "./refusal.js";
import { sha256 } from "./sha256.js";

const SALT = 16;

/**
 * @typedef {{position: number, name: string, category: string, body: Uint8Array}} Content
 * @typedef {Map<number, import("./agency-signatures.js").Statement>} Statements
 */

/** @param {Statements} statements */
export async function checkCommitments(statements) {
  for (const [position, { row, header }] of statements) {
    const { leaves, compartments, categories } = row.value;
    const where = place(position);
    const count = leaves.length;
    const whole = count >= 8 && count <= 65_536 && Number.isInteger(Math.log2(count));
    must(whole, "bad_commitment", where);
    for (let at = 1; at < count; at += 1) {
      must(compare(leaves[at - 1], leaves[at]) < 0, "bad_commitment", where);
    }
    const root = await rootOf(await Promise.all(leaves.map(leafHash)));
    must(same(root, header.disclosure_root), "bad_commitment", where);
    const names = compartments.map((/** @type {any} */ one) => one.name);
    const indexes = compartments.map((/** @type {any} */ one) => one.index);
    const fits =
      new Set(names).size === names.length &&
      new Set(indexes).size === names.length &&
      indexes.every((/** @type {number} */ index) => index >= 0 && index < count);
    must(fits && categoriesOf(names).join() === categories.join(), "bad_commitment", where);
  }
}

/** @param {string[]} names @returns {string[]} */
function categoriesOf(names) {
  const found = new Set(names.map((name) => name.split("/")[0]));
  found.delete("routing");
  return [...found].sort();
}

/**
 * @param {import("./manifest.js").Members} members
 * @param {import("./manifest.js").Manifest} manifest
 * @param {Statements} statements @param {import("./rows.js").Row[]} rows
 * @returns {Promise<Content[]>}
 */
export async function checkContent(members, manifest, statements, rows) {
  const { holder, claims } = manifest;
  must(claims.content.length === 0 || holder !== null, "not_held");
  const held = holder === null ? new Set() : heldBy(holder, rows, statements);
  const found = [];
  for (const [position, index] of claims.content) {
    const where = place(position);
    const value = statements.get(position)?.row.value;
    const data = members.get(`content/${where}/${String(index).padStart(5, "0")}`)?.data;
    must(value && data && index < value.leaves.length, "not_disclosed", where);
    must(same(await sha256(data), value.leaves[index]), "not_disclosed", where);
    const content = opened(position, data, where);
    const kept = value.compartments.find((/** @type {any} */ one) => one.index === index);
    must(kept?.name === content.name, "not_disclosed", where);
    const party = content.name.slice(content.category.length + 1);
    const own = party === "" || party === holder;
    must(own && held.has(`${position} ${content.category}`), "not_held", where);
    found.push(content);
  }
  return found;
}

/** @param {number} position @param {Uint8Array} data @param {string} where @returns {Content} */
function opened(position, data, where) {
  const length = data[SALT] ?? 0;
  const raw = data.subarray(SALT + 1, SALT + 1 + length);
  must(length > 0 && raw.length === length, "not_disclosed", where);
  let name = "";
  try {
    name = text(raw);
  } catch {
    throw new Refusal("not_disclosed", where);
  }
  const body = data.subarray(SALT + 1 + length);
  return { position, name, category: name.split("/")[0], body };
}

/**
 * What the deliveries here leave with the holder: "<position of the event> <category>".
 * @param {string} holder @param {import("./rows.js").Row[]} rows @param {Statements} statements
 * @returns {Set<string>}
 */
function heldBy(holder, rows, statements) {
  const positions = new Map([...statements].map(([at, one]) => [eventId(one.row), at]));
  const held = new Set();
  for (const { topic, value, json, position } of rows) {
    if (topic !== "nrm.DeliveryLog.Sending" || value.agency !== holder) continue;
    try {
      if (value.kind === "release") {
        for (const name of Object.keys(json.bases)) held.add(`${value.event_position} ${name}`);
        continue;
      }
      for (const [event, names] of json.recall.items) {
        for (const name of names) held.delete(`${positions.get(event)} ${name}`);
      }
    } catch {
      throw new Refusal("bad_row", place(position), 6);
    }
  }
  return held;
}

/** @param {import("./rows.js").Row} row @returns {string} */
function eventId(row) {
  return uuid(row.value.event_id);
}
