/**
 * One event and what follows from it, in the order of docs/release.md 3: the event changes its
 * case, every (agency, category) is decided, recalls, endings, backfill.
 */

import { FOREVER } from "./dates.js";
import { put } from "./holdings.js";
import { recallsOf } from "./recalls.js";
import { must } from "./refusal.js";
import { decide } from "./rules.js";

/**
 * receives: whether it has an active data-sharing agreement.
 * @typedef {{agency: string, role: string, receives: boolean}} Party
 *
 * @typedef {{
 *   parties: Map<string, Party>, partiesVersion: number,
 *   profile: import("./profile.js").Profile, groupOf: import("./case.js").GroupOf,
 *   effort?: Effort
 * }} Law
 */

const MOST_STEPS = 20_000_000;

const RECALLING = new Set([
  "ConsentWithdrawn", "ConsentAmended", "RecordCorrected", "SubjectRequestDecided",
]);

/** A bound on how long one file can keep the verifier at work. */
export class Effort {
  constructor() {
    this.left = MOST_STEPS;
  }

  /** @param {number} steps */
  spend(steps) {
    this.left -= steps;
    must(this.left >= 0, "too_large");
  }
}

/**
 * Takes the event into the case, and decides.
 * @param {import("./case.js").Case} theCase
 * @param {import("./case.js").CaseEvent} incoming
 * @param {Law} law
 * @param {{clockTrusted?: boolean, age?: import("./age.js").AgeView}} given age: as recorded, used
 *   where birth dates cannot be read
 * @returns {import("./settlement.js").Settlement}
 */
export function settle(theCase, incoming, law, given = {}) {
  const event = theCase.enter(incoming);
  law.effort?.spend(theCase.age.said.length + theCase.referrals.latest.size);
  const clockTrusted = given.clockTrusted ?? true;
  const now = clockTrusted ? event.at : FOREVER;
  const known = theCase.birthDatesSealed ? given.age : undefined;
  const age = known ?? theCase.age.view(now, law.profile.enforcementRoles);

  /** @param {import("./case.js").CaseEvent} about @param {Party} party @param {string} category */
  const asked = (about, party, category, first = false, windows = true) => {
    law.effort?.spend(1 + theCase.windows.length);
    const { agency, role } = party;
    const { profile, groupOf } = law;
    return withAgreement(
      party,
      decide({
        theCase, event: about, agency, role, category, now, age, profile, groupOf, first, windows,
      }),
    );
  };
  const decided = decideAll(theCase, event, law, asked);
  const settlement = settlementOf(event, law, age, clockTrusted, decided);
  const again = (/** @type {string} */ agency, /** @type {string} */ id, /** @type {string} */ name) => {
    const [party, about] = [law.parties.get(agency), theCase.byId.get(id)];
    return party && about ? asked(about, party, name, false, false) : undefined;
  };
  if (RECALLING.has(event.type)) law.effort?.spend(theCase.holdings.all().length);
  Object.assign(settlement, recallsOf(theCase, event, settlement, again));
  if (event.type === "ConsentWithdrawn" && event.facts.leave_nrm === true) {
    const leaving = clockTrusted || known ? age : theCase.age.view(event.at, law.profile.enforcementRoles);
    if (!leaving.child && !leaving.disputed) settlement.left = authorities(theCase, law);
  }
  theCase.hold(settlement, event);
  theCase.leave(event, settlement.left);
  for (const agency of catchingUp(theCase, event)) {
    const party = law.parties.get(agency);
    if (!party || party.role === "hub") continue;
    for (const about of theCase.earlier(event)) {
      if (about.emitter === agency) continue;
      for (const name of about.categories) {
        if (theCase.holdings.basis(agency, about.id, name) !== undefined) continue;
        const outcome = asked(about, party, name);
        if (!outcome.released) continue;
        put(settlement.backfill, agency, about.id, name, outcome.basis);
        if (outcome.window) put(settlement.windows, agency, about.id, name, outcome.window);
      }
    }
  }
  theCase.holdBackfill(settlement);
  return settlement;
}

/**
 * Everybody's answers. Whoever is neither concerned nor has a window gets that of its role.
 * @param {import("./case.js").Case} theCase @param {import("./case.js").CaseEvent} event
 * @param {Law} law
 * @param {(about: import("./case.js").CaseEvent, party: Party, category: string, first: boolean) =>
 *   import("./rules.js").Outcome} asked
 * @returns {Map<string, Map<string, import("./rules.js").Outcome>>}
 */
function decideAll(theCase, event, law, asked) {
  const decided = new Map();
  const ofRole = new Map();
  const inside = new Set(theCase.windows.map((one) => one.agency));
  for (const party of recipients(law, event)) {
    const { agency, role, receives } = party;
    const own = inside.has(agency) || theCase.concerned(agency, event);
    const key = `${role} ${receives}`;
    let outcomes = own ? undefined : ofRole.get(key);
    if (!outcomes) {
      outcomes = new Map(event.categories.map((name) => [name, asked(event, party, name, true)]));
      if (!own) ofRole.set(key, outcomes);
    }
    decided.set(agency, outcomes);
  }
  return decided;
}

/** 2.12 @param {Party} party @param {import("./rules.js").Outcome} outcome */
function withAgreement(party, outcome) {
  if (!outcome.released || party.receives) return outcome;
  return /** @type {import("./rules.js").Outcome} */ ({ released: false, reason: "no_agreement" });
}

/** @param {Law} law @param {import("./case.js").CaseEvent} event @returns {Party[]} */
function recipients(law, event) {
  return [...law.parties.values()].filter(
    (party) => party.role !== "hub" && party.agency !== event.emitter,
  );
}

/**
 * @param {import("./case.js").CaseEvent} event @param {Law} law
 * @param {import("./age.js").AgeView} age @param {boolean} clockTrusted
 * @param {Map<string, Map<string, import("./rules.js").Outcome>>} decided
 * @returns {import("./settlement.js").Settlement}
 */
function settlementOf(event, law, age, clockTrusted, decided) {
  const [released, windows] = [new Map(), new Map()];
  for (const [agency, outcomes] of decided) {
    const bases = new Map();
    for (const [name, outcome] of outcomes) {
      if (!outcome.released) continue;
      bases.set(name, outcome.basis);
      if (outcome.window) put(windows, agency, event.id, name, outcome.window);
    }
    if (bases.size) released.set(agency, bases);
  }
  return {
    event: event.id,
    policy: law.profile.version,
    parties: law.partiesVersion,
    age,
    clockTrusted,
    categories: event.categories,
    left: [],
    released,
    recalls: [],
    rebased: new Map(),
    backfill: new Map(),
    windows,
    named: [],
    outcome(agency, _role, category) {
      const outcome = decided.get(agency)?.get(category);
      if (!outcome) return undefined;
      return outcome.released ? `released: ${outcome.basis}` : `withheld: ${outcome.reason}`;
    },
  };
}

/** 2.4 @param {import("./case.js").Case} theCase @param {Law} law @returns {string[]} */
function authorities(theCase, law) {
  return [...law.parties.values()]
    .filter((party) => party.role === "competent_authority")
    .map((party) => party.agency)
    .filter((agency) => theCase.involved(agency) || theCase.referrals.pendingFor(agency))
    .sort();
}

/** 5.1 @param {import("./case.js").Case} theCase @param {import("./case.js").CaseEvent} event */
function catchingUp(theCase, event) {
  if (theCase.referrals.accepts(event)) return [event.emitter];
  if (event.type === "GuardianAppointed") return [String(event.facts.guardian_agency)];
  if (event.type === "BreakGlassInvoked") return [event.emitter];
  if (event.type === "ConsentGiven" || event.type === "ConsentAmended") {
    return [...(theCase.consents.get(event.facts.consent_id)?.scope.keys() ?? [])];
  }
  return [];
}
