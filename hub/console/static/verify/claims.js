/** Step 13: the manifest claims what its rows say, and holds nothing that was not asked for. */

import { fromHex, hex, uuid } from "./bytes.js";
import { place } from "./manifest.js";
import { must } from "./refusal.js";

const SENDING = "nrm.DeliveryLog.Sending";
const RECEIVED = "nrm.ReceiptLog.Received";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./manifest.js").Manifest} Manifest */

/**
 * @param {{manifest: Manifest, rows: Row[],
 *   statements: Map<number, import("./agency-signatures.js").Statement>}} found
 */
export function checkClaims({ manifest, rows, statements }) {
  const { claims, scope } = manifest;
  checkListed(claims.decisions, rows, "nrm.Case.Settled");
  checkListed(claims.deliveries, rows, SENDING);
  checkListed(claims.receipts, rows, RECEIVED);
  checkWhose(manifest, rows);
  checkCases(manifest, rows);
  if (scope.event !== null) {
    const events = [...statements.values()].map((one) => uuid(one.row.value.event_id));
    must(events.includes(scope.event), "claims_differ", scope.event);
  }
  if (scope.agency === null) checkReceiptsAnswer(rows);
}

/** @param {number[]} claimed @param {Row[]} rows @param {string} topic */
function checkListed(claimed, rows, topic) {
  const there = rows.filter((row) => row.topic === topic).map((row) => row.position);
  must(there.join() === claimed.join(), "claims_differ", topic);
}

/** Deliveries and receipts are of the agencies asked for; a holder sees only its own. */
function checkWhose(/** @type {Manifest} */ { holder, scope }, /** @type {Row[]} */ rows) {
  const whose = new Set([holder, scope.agency].filter((one) => one !== null));
  must(whose.size < 2, "claims_differ");
  for (const { topic, value, why, position } of rows) {
    const personal = topic === SENDING || topic === RECEIVED;
    const foreign = whose.size > 0 && personal && !whose.has(value.agency);
    const hidden = holder !== null && (why === "case" || why === "policy");
    const single = holder === null && why === "event";
    must(!foreign && !hidden && !single, "claims_differ", place(position));
  }
}

/** @param {Manifest} manifest @param {Row[]} rows */
function checkCases({ kind, scope }, rows) {
  const sent = rows.filter((row) => row.topic === SENDING);
  const streams = rows.filter((row) => row.why === "case" || row.why === "event");
  const about = new Set(sent.map((row) => hex(row.value.case_id)));
  if (scope.case !== null) {
    const asked = hex(fromHex(scope.case) ?? new Uint8Array());
    const foreign = streams.some((row) => row.stream !== asked);
    must(!foreign, "claims_differ");
    const other = kind !== "absence" && [...about].some((id) => id !== asked);
    must(!other, "claims_differ");
  } else {
    must(!streams.some((row) => !about.has(row.stream)), "claims_differ");
  }
  const events = new Set(sent.map((row) => row.value.event_position));
  for (const { why, topic, position } of rows) {
    const single = why === "event" && topic === "nrm.Case.EventAccepted";
    must(!single || events.has(position), "claims_differ", place(position));
  }
}

/** A receipt is here for a delivery that is. @param {Row[]} rows */
function checkReceiptsAnswer(rows) {
  /** @type {Map<string, number[]>} */
  const numbers = new Map();
  for (const { topic, value, version } of rows) {
    if (topic !== SENDING) continue;
    numbers.set(value.agency, [...(numbers.get(value.agency) ?? []), version]);
  }
  for (const { topic, value, position } of rows) {
    if (topic !== RECEIVED) continue;
    const { first_sequence: first, last_sequence: last } = value;
    const answered = (numbers.get(value.agency) ?? []).some((one) => first <= one && one <= last);
    must(answered, "claims_differ", place(position));
  }
}
