/** Step 12: each receipt was signed by its agency and speaks of deliveries that were made. */

import { wireReader } from "./agency-signatures.js";
import { RECEIPT, verifyTyped } from "./ed25519.js";
import { place } from "./manifest.js";
import { must, Refusal } from "./refusal.js";

/**
 * @typedef {{position: number, agency: string, first: number, last: number, at: number,
 *   exceptions: any[]}} Receipt
 */

/**
 * @param {import("./rows.js").Row[]} rows @param {import("./register.js").Register} register
 * @param {import("./manifest.js").Manifest} manifest @returns {Promise<Receipt[]>}
 */
export async function checkReceipts(rows, register, manifest) {
  const read = wireReader("Receipt");
  const receipts = [];
  for (const { topic, value, position } of rows) {
    if (topic !== "nrm.ReceiptLog.Received") continue;
    const where = place(position);
    let receipt;
    try {
      receipt = read(value.receipt);
    } catch {
      throw new Refusal("bad_receipt", where);
    }
    const { agency, first_sequence: first, last_sequence: last } = value;
    const ours =
      receipt.agency === agency &&
      receipt.first_sequence === first &&
      receipt.last_sequence === last &&
      receipt.hub === manifest.origin;
    must(ours && first >= 1 && first <= last, "receipt_differs", where);
    const key = register.key(agency, receipt.key_id, position);
    must(key, "unknown_key", where);
    const signed = await verifyTyped(key, RECEIPT, value.receipt, value.signature);
    must(signed, "bad_receipt", where);
    receipts.push({
      position,
      agency,
      first: Number(first),
      last: Number(last),
      at: Number(value.timestamp),
      exceptions: receipt.exceptions,
    });
  }
  if (manifest.scope.agency !== null) checkWhole(rows, receipts);
  return receipts;
}

/**
 * An agency's whole log: no receipt is missing, and none is for what was never sent.
 * @param {import("./rows.js").Row[]} rows @param {Receipt[]} receipts
 */
function checkWhole(rows, receipts) {
  const sent = rows.filter((row) => row.topic === "nrm.DeliveryLog.Sending").length;
  rows
    .filter((row) => row.topic === "nrm.ReceiptLog.Received")
    .forEach(({ version, position }, at) => {
      must(version === at + 1, "receipt_differs", place(position));
    });
  for (const { last, position } of receipts) must(last <= sent, "receipt_differs", place(position));
}
