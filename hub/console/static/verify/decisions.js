/**
 * Step 10: every event decided again from what the rows before it give, by this verifier's own rules
 * and with the profile and register in force; the result must be what was recorded.
 */

import { Case } from "./case.js";
import { decisions, differences } from "./compared.js";
import { EventSchemas } from "./event-schemas.js";
import { caseEvent, holdBack, settledEvents, streamsOf } from "./fold.js";
import { each } from "./holdings.js";
import { place } from "./manifest.js";
import { must } from "./refusal.js";
import { Effort, settle } from "./settle.js";

/**
 * One event and what was decided of it, twice.
 * @typedef {{
 *   position: number, id: string, stream: string, type: string, emitter: string, at: number,
 *   lines: import("./compared.js").Line[], withheld: number, ageAsRecorded: boolean,
 *   caughtUp: Array<{position: number, type: string, agency: string, category: string,
 *     basis: string}>
 * }} Decided lines: what was released of the event; caughtUp: of earlier ones, because of it
 */

/**
 * @param {import("./manifest.js").Members} members @param {import("./rows.js").Row[]} rows
 * @param {import("./register.js").Register} register
 * @returns {Promise<{decided: Decided[], schemas: EventSchemas}>} decided in log order
 */
export async function checkDecisions(members, rows, register) {
  const schemas = await EventSchemas.read(members);
  const effort = new Effort();
  const decided = [];
  for (const stream of streamsOf(rows)) {
    const theCase = new Case(schemas.fieldCategory);
    const pairs = settledEvents(stream);
    for (const row of stream) {
      const event = pairs.get(row.position);
      if (event) {
        schemas.require(event);
        decided.push(decideAgain(theCase, event, row, register, schemas, effort));
      } else if (row.topic === "nrm.Case.HeldBack") {
        must(theCase.events.length > 0, "decision_differs", place(row.position));
        holdBack(theCase, row);
      }
    }
  }
  return { decided: decided.sort((one, other) => one.position - other.position), schemas };
}

/**
 * @param {Case} theCase @param {import("./rows.js").Row} row of the event
 * @param {import("./rows.js").Row} settled @param {import("./register.js").Register} register
 * @param {EventSchemas} schemas @param {Effort} effort
 * @returns {Decided}
 */
function decideAgain(theCase, row, settled, register, schemas, effort) {
  const where = place(settled.position);
  const recorded = settled.json.settlement;
  const event = caseEvent(row);
  must(recorded.event === event.id, "decision_differs", where);
  must(!theCase.byId.has(event.id), "decision_differs", where);
  const profile = register.profileBefore(row.position);
  must(profile, "register_incomplete", where);
  const parties = register.partiesBefore(row.position);
  const law = {
    parties,
    partiesVersion: settled.value.parties,
    profile: profile.profile,
    groupOf: schemas.groupOf,
    effort,
  };
  const { clockTrusted, age } = recorded;
  const again = settle(theCase, event, law, { clockTrusted, age });
  const lines = decisions(recorded, again, parties.values(), event.emitter);
  const wrong = lines.find((line) => line.recorded !== line.again);
  must(!wrong, "decision_differs", `${where}: ${wrong?.agency}, ${wrong?.category}`);
  const carried = new Set(recorded.categories);
  for (const [agency, names] of recorded.named) {
    const takesPart = agency !== event.emitter && parties.has(agency);
    const all = names.length === carried.size && names.every((name) => carried.has(name));
    must(takesPart && all, "decision_differs", `${where}: ${agency}`);
  }
  const asked = recorded.recalls.map((one) => one.to);
  must(new Set(asked).size === asked.length, "decision_differs", where);
  const [other] = differences(recorded, again);
  must(!other, "decision_differs", `${where}: ${other?.part}`);
  const released = lines.filter((line) => line.again.startsWith("released"));
  return {
    position: row.position,
    id: event.id,
    stream: row.stream,
    type: event.type,
    emitter: event.emitter,
    at: event.at,
    lines: released,
    withheld: lines.length - released.length,
    ageAsRecorded: theCase.birthDatesSealed,
    caughtUp: [...each(again.backfill)].map(([agency, id, category, basis]) => {
      const earlier = theCase.byId.get(id);
      const { position = 0, type = "" } = earlier ?? {};
      return { position, type, agency, category, basis };
    }),
  };
}
