/** A case folded from its rows, by what was decided then; nothing is decided again here. */

import { hex, uuid } from "./bytes.js";
import { Case } from "./case.js";
import { place } from "./manifest.js";
import { must } from "./refusal.js";
import { readBases } from "./settlement.js";

/** @typedef {import("./rows.js").Row} Row */

/**
 * Rows of whole cases, stream by stream.
 * @param {Row[]} rows @returns {Row[][]}
 */
export function streamsOf(rows) {
  /** @type {Map<string, Row[]>} */
  const streams = new Map();
  for (const row of rows) {
    if (row.why !== "case") continue;
    const stream = streams.get(row.stream) ?? [];
    streams.set(row.stream, stream);
    stream.push(row);
  }
  return [...streams.keys()].sort().map((id) => streams.get(id) ?? []);
}

/** @param {Row} row @returns {import("./case.js").CaseEvent} */
export function caseEvent({ position, value, json }) {
  return {
    position,
    id: uuid(value.event_id),
    type: value.event_type,
    emitter: value.emitter,
    role: value.role,
    at: Number(value.timestamp),
    categories: value.categories,
    facts: json.facts,
    schema: hex(value.schema_id),
  };
}

/**
 * Each settlement with the event it settles; every event is settled before the next.
 * @param {Row[]} stream of one case
 * @returns {Map<number, Row>} position of the settlement → row of its event
 */
export function settledEvents(stream) {
  const pairs = new Map();
  /** @type {Row | null} */
  let waiting = null;
  for (const row of stream) {
    if (row.topic === "nrm.Case.EventAccepted") {
      must(waiting === null, "decision_differs", place(row.position));
      waiting = row;
    } else if (row.topic === "nrm.Case.Settled") {
      const { event_version: version, position } = row.value;
      const pair = waiting?.version === version && waiting?.position === position;
      must(waiting && pair, "decision_differs", place(row.position));
      pairs.set(row.position, waiting);
      waiting = null;
    }
  }
  return pairs;
}

/** @param {Case} theCase @param {Row} row */
export function holdBack(theCase, { value, json }) {
  for (const [event, names] of Object.entries(json.heldBack)) {
    theCase.holdings.drop(value.agency, event, names);
  }
  theCase.holdings.rebase(readBases({ [value.agency]: json.rebased }));
}

/**
 * Take an event and its recorded settlement into a case.
 * @param {Case} theCase @param {Row} event @param {Row} settled
 * @returns {import("./case.js").CaseEvent}
 */
export function takeRecorded(theCase, event, settled) {
  const entered = theCase.enter(caseEvent(event));
  theCase.hold(settled.json.settlement, entered);
  theCase.leave(entered, settled.json.settlement.left);
  theCase.holdBackfill(settled.json.settlement);
  return entered;
}
