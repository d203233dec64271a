/**
 * Step 2: what the bundle claims, and that it lists exactly what is in it (docs/evidence.md 4).
 *
 * Its signature is checked in step 6, when the hub's key is known from the log.
 */

import { hex, utf8 } from "./bytes.js";
import { INTEGER, readJson } from "./json.js";
import { must, Refusal } from "./refusal.js";
import { sha256 } from "./sha256.js";

export const FORMAT = "nrm-evidence/1";

const DEEPEST = 8;
const REASONS = ["hub", "register", "policy", "case", "event", "delivery", "receipt"];
const NAMES = new RegExp(
  "^(?:content/\\d{12}/\\d{5}|log/(?:checkpoint|consistency|earlier|paths|vkey|witnesses)" +
    "|rows/\\d{12}|schemas/event/[0-9a-f]{64}|schemas/store/[0-9a-f]{16}|statement\\.json)$",
);
const ALWAYS = ["log/checkpoint", "log/paths", "log/vkey", "rows/000000000001"];
const CASE = /^[0-9a-f]{32}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const EVENT = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * @typedef {{case: string | null, event: string | null, agency: string | null,
 *   categories: string[] | null}} Scope
 * @typedef {{
 *   raw: Uint8Array, signature: Uint8Array, kind: string, origin: string, scope: Scope,
 *   holder: string | null, asOf: number, treeSize: number, rows: Map<number, string>,
 *   claims: {content: Array<[number, number]>, decisions: number[], deliveries: number[],
 *     receipts: number[]}
 * }} Manifest
 * @typedef {Map<string, import("./zip.js").Member>} Members
 */

/** @param {Members} members @returns {Promise<Manifest>} throws Refusal */
export async function readManifest(members) {
  const [raw, signature] = ["manifest.json", "manifest.sig"].map((name) => {
    const member = members.get(name);
    must(member, "member_missing", name);
    return member.data;
  });
  const document = decode(raw);
  let manifest;
  let listed;
  try {
    manifest = shaped(raw, signature, document);
    listed = document.members.map(listing);
    check(new Set(listed.map((/** @type {any} */ one) => one.name)).size === listed.length);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("bad_manifest");
  }
  await compare(members, listed);
  complete(members, manifest);
  return manifest;
}

/** A position as it stands in names. @param {number} position @returns {string} */
export function place(position) {
  return String(position).padStart(12, "0");
}

/** @param {Uint8Array} raw @returns {any} */
function decode(raw) {
  let document;
  try {
    document = readJson(raw, DEEPEST, INTEGER);
  } catch {
    throw new Refusal("bad_manifest");
  }
  must(isObject(document), "bad_manifest");
  const { format } = document;
  must(typeof format === "string" && format.startsWith("nrm-evidence/"), "bad_manifest");
  must(format === FORMAT, "newer_version", format.slice(0, 40));
  return document;
}

/**
 * @param {Uint8Array} raw @param {Uint8Array} signature @param {any} document
 * @returns {Manifest}
 */
function shaped(raw, signature, document) {
  const { kind, claims, holder } = document;
  check(kind === "bundle" || kind === "absence");
  check(holder === null || isText(holder));
  check(isText(document.origin) && isPosition(document.tree_size) && isPosition(document.as_of));
  const positions = document.rows.map((/** @type {any} */ pair) => {
    const [position, why] = pair;
    check(Array.isArray(pair) && pair.length === 2);
    check(isPosition(position) && REASONS.includes(why));
    return position;
  });
  ascending(positions);
  const last = positions.at(-1) ?? 0;
  check(last > 0 && last <= document.as_of && document.as_of <= document.tree_size);
  const content = claims.content.map((/** @type {any} */ pair) => {
    const [position, index] = pair;
    check(Array.isArray(pair) && pair.length === 2);
    check(isPosition(position) && Number.isInteger(index) && index >= 0 && index < 65_536);
    return [position, index];
  });
  ascending(content.map((/** @type {any} */ [position, index]) => position * 65_536 + index));
  return {
    raw,
    signature,
    kind,
    origin: document.origin,
    scope: scope(kind, document.scope),
    holder,
    asOf: document.as_of,
    treeSize: document.tree_size,
    rows: new Map(document.rows),
    claims: {
      content,
      decisions: claimed(claims.decisions),
      deliveries: claimed(claims.deliveries),
      receipts: claimed(claims.receipts),
    },
  };
}

/** @param {string} kind @param {any} written @returns {Scope} */
function scope(kind, written) {
  check(isObject(written));
  const names = Object.keys(written).sort().join(" ");
  const wanted = kind === "absence" ? ["agency case categories"] : ["case", "case event", "agency"];
  check(wanted.includes(names));
  const { agency = null, event = null, categories = null } = written;
  check(!("agency" in written) || isText(agency));
  check(!("case" in written) || matches(CASE, written.case));
  check(!("event" in written) || matches(EVENT, event));
  if (categories !== null) {
    check(Array.isArray(categories) && categories.every(isText));
    ascending(categories);
  }
  return { case: written.case ?? null, event, agency, categories };
}

/** @param {any} entry @returns {{name: string, length: number, digest: string}} */
function listing(entry) {
  const [name, length, digest] = entry;
  check(Array.isArray(entry) && entry.length === 3 && typeof name === "string" && NAMES.test(name));
  check(Number.isSafeInteger(length) && matches(DIGEST, digest));
  return { name, length, digest };
}

/**
 * @param {Members} members
 * @param {Array<{name: string, length: number, digest: string}>} listed
 */
async function compare(members, listed) {
  const there = [...members.keys()].slice(2);
  const differs = there.findIndex((name, at) => name !== listed[at]?.name);
  must(there.length === listed.length && differs < 0, "member_unlisted", there[differs] ?? "");
  for (const { name, length, digest } of listed) {
    const data = members.get(name)?.data ?? new Uint8Array();
    const same = data.length === length && hex(await sha256(data)) === digest;
    must(same, "member_differs", name);
  }
}

/** @param {Members} members @param {Manifest} manifest */
function complete(members, manifest) {
  const absence = manifest.kind === "absence";
  for (const name of absence ? [...ALWAYS, "statement.json"] : ALWAYS) {
    must(members.has(name), "member_missing", name);
  }
  const both = members.has("log/earlier") === members.has("log/consistency");
  must(both, "member_missing", "log/earlier, log/consistency");
  must(absence || !members.has("statement.json"), "member_unlisted", "statement.json");
  const rows = [...manifest.rows.keys()].map((position) => `rows/${place(position)}`);
  const content = manifest.claims.content.map(
    ([position, index]) => `content/${place(position)}/${String(index).padStart(5, "0")}`,
  );
  for (const [folder, wanted] of [["rows/", rows], ["content/", content]]) {
    const there = [...members.keys()].filter((name) => name.startsWith(String(folder)));
    must(there.join() === [...wanted].join(), "member_unlisted", String(folder));
  }
}

/** @param {boolean} holds @returns {asserts holds} */
function check(holds) {
  if (!holds) throw new Refusal("bad_manifest");
}

/** @param {RegExp} pattern @param {unknown} value */
function matches(pattern, value) {
  return typeof value === "string" && pattern.test(value);
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function isPosition(value) {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

/** @param {unknown} value */
function isText(value) {
  if (typeof value !== "string" || value === "" || utf8(value).length > 800) return false;
  return [...value].length <= 200 && !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(value);
}

/** @param {any} values @returns {number[]} */
function claimed(values) {
  check(Array.isArray(values) && values.every(isPosition));
  ascending(values);
  return values;
}

/** @param {any[]} values */
function ascending(values) {
  for (let at = 1; at < values.length; at += 1) check(values[at - 1] < values[at]);
}
