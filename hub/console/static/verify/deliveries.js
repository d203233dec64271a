/** Step 11: what was sent, recalled or held back is what was decided, in order and without a gap. */

import { hex } from "./bytes.js";
import { settledEvents, streamsOf } from "./fold.js";
import { Ledger } from "./ledger.js";
import { place } from "./manifest.js";
import { must } from "./refusal.js";

/**
 * @typedef {import("./rows.js").Row} Row
 * @typedef {{
 *   position: number, at: number, agency: string, sequence: number, kind: string,
 *   eventPosition: number, bases: Array<[string, string]>, recalled: Array<[string, string[]]>
 * }} Sent
 */

/**
 * @param {{manifest: import("./manifest.js").Manifest, rows: Row[],
 *   register: import("./register.js").Register,
 *   schemas: import("./event-schemas.js").EventSchemas}} found
 * @returns {Sent[]}
 */
export function checkDeliveries({ manifest, rows, register, schemas }) {
  const sendings = rows.filter((row) => row.topic === "nrm.DeliveryLog.Sending");
  if (manifest.scope.agency !== null) checkGapless(sendings, manifest.scope.agency);
  for (const stream of streamsOf(rows)) {
    const about = sendings.filter((row) => hex(row.value.case_id) === stream[0].stream);
    const merged = [...stream, ...about].sort((one, other) => one.position - other.position);
    new Ledger(manifest, register, schemas).run(merged, settledEvents(stream));
  }
  return sendings.map(sentOf);
}

/** @param {Row[]} sendings @param {string} agency */
function checkGapless(sendings, agency) {
  sendings
    .filter((row) => row.value.agency === agency)
    .forEach(({ version, position }, at) => {
      must(version === at + 1, "gap_in_deliveries", place(position));
    });
}

/** @param {Row} row @returns {Sent} */
function sentOf({ position, version, value, json }) {
  const release = value.kind === "release";
  return {
    position,
    at: Number(value.timestamp),
    agency: value.agency,
    sequence: version,
    kind: value.kind,
    eventPosition: value.event_position,
    bases: release ? Object.entries(json.bases) : [],
    recalled: release ? [] : json.recall.items,
  };
}
