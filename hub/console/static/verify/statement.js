/** Step 14: signed absence. The statement is the hub's, and every row agrees with it. */

import { fromBase64, hex } from "./bytes.js";
import { ABSENCE, keyId, verifyTyped } from "./ed25519.js";
import { readJson } from "./json.js";
import { place } from "./manifest.js";
import { must, Refusal } from "./refusal.js";

const MOST_BYTES = 64 * 1024;

/**
 * own: events of the case the agency published itself.
 * @typedef {{agency: string, case: string, categories: string[] | null, asOf: number, own: number}}
 *   Absence
 * @typedef {import("./rows.js").Row} Row
 */

/**
 * @param {{members: import("./manifest.js").Members, manifest: import("./manifest.js").Manifest,
 *   head: import("./history.js").Head, rows: Row[], hubKey: Uint8Array}} found
 * @returns {Promise<Absence>}
 */
export async function checkStatement({ members, manifest, head, rows, hubKey }) {
  const document = members.get("statement.json")?.data ?? new Uint8Array();
  const payload = await signedPayload(document, hubKey);
  const { scope } = manifest;
  const [agency, theCase] = [scope.agency ?? "", scope.case ?? ""];
  const stream = rows.filter((row) => row.why === "case");
  const sent = rows.filter((row) => row.topic === "nrm.DeliveryLog.Sending");
  const expected = {
    agency,
    as_of: manifest.asOf,
    case: theCase,
    case_rows: stream.length,
    categories: scope.categories,
    deliveries: sent.length,
    format: "nrm-absence.1",
    hub: manifest.origin,
    receipts: rows.filter((row) => row.topic === "nrm.ReceiptLog.Received").length,
    root: hex(head.root),
    tree_size: head.size,
  };
  must(sortedText(payload) === sortedText(expected), "bad_statement");
  must(stream.length > 0, "bad_statement");
  const asked = (/** @type {string} */ name) =>
    scope.categories === null || scope.categories.includes(name);
  checkWithheld(agency, asked, stream);
  for (const { value, json, position } of sent) {
    if (hex(value.case_id) !== theCase || value.kind !== "release") continue;
    must(!Object.keys(json.bases).some(asked), "not_absent", place(position));
  }
  const own = stream.filter((row) => row.value.emitter === agency).length;
  return { agency, case: theCase, categories: scope.categories, asOf: manifest.asOf, own };
}

/**
 * Every release decided for the agency was held back before it was sent.
 * @param {string} agency @param {(category: string) => boolean} asked @param {Row[]} stream
 */
function checkWithheld(agency, asked, stream) {
  /** @type {Map<string, number>} "<event> <category>" → row that released it */
  const released = new Map();
  for (const { topic, value, json, position } of stream) {
    if (topic === "nrm.Case.Settled") {
      /** @type {import("./settlement.js").Settlement} */
      const { event, released: now, backfill } = json.settlement;
      const all = new Map(backfill.get(agency) ?? []);
      all.set(event, new Map([...(now.get(agency) ?? []), ...(all.get(event) ?? [])]));
      for (const [id, bases] of all) {
        for (const name of bases.keys()) if (asked(name)) released.set(`${id} ${name}`, position);
      }
    } else if (topic === "nrm.Case.HeldBack" && value.agency === agency) {
      for (const [id, names] of Object.entries(json.heldBack)) {
        for (const name of names) released.delete(`${id} ${name}`);
      }
    }
  }
  const [left] = released.values();
  must(left === undefined, "not_absent", place(left ?? 0));
}

/** @param {Uint8Array} document @param {Uint8Array} hubKey @returns {Promise<any>} */
async function signedPayload(document, hubKey) {
  let body;
  let signature;
  let payload;
  let named = "";
  let type = "";
  try {
    must(document.length <= MOST_BYTES, "bad_statement");
    const envelope = readJson(document);
    must(envelope.signatures.length === 1, "bad_statement");
    const [entry] = envelope.signatures;
    [body, signature] = [fromBase64(envelope.payload), fromBase64(entry.sig)];
    must(body && signature, "bad_statement");
    payload = readJson(body);
    [named, type] = [entry.keyid, envelope.payloadType];
  } catch {
    throw new Refusal("bad_statement");
  }
  const right = type === ABSENCE && named === hex(await keyId(hubKey));
  const signed = right && (await verifyTyped(hubKey, ABSENCE, body, signature));
  must(signed, "bad_hub_signature");
  return payload;
}

/** @param {any} object flat @returns {string} */
function sortedText(object) {
  const entries = Object.entries(object ?? {});
  return JSON.stringify(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
