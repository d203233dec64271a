/**
 * A case, folded from its recorded events (docs/release.md 2 and 3).
 *
 * Per event: `enter` (what changes before the decision), `hold` (what was decided), `leave` (the
 * endings that come after it). `CaseEvent.at` is the hub's time of recording, in microseconds.
 */

import { Age } from "./age.js";
import { Consents } from "./consents.js";
import { day, instant } from "./dates.js";
import { Holdings } from "./holdings.js";
import { Referrals } from "./referrals.js";

/**
 * @typedef {{
 *   position: number, id: string, type: string, emitter: string, role: string, at: number,
 *   categories: string[], facts: Record<string, any>, schema?: string
 * }} CaseEvent
 *
 * @typedef {{
 *   id: string, agency: string, from: number, until: number, requested: Set<string>, closed: boolean
 * }} Window
 *
 * @typedef {(event: CaseEvent, field: string) => string | null} FieldCategory
 * @typedef {(event: CaseEvent) => string} GroupOf event group, empty for an unknown type
 */

const WINDOW_MICROS = 24 * 3600 * 1_000_000;
const PROCEEDING_ROLES = new Set(["police", "prosecutor", "labour_inspectorate"]);

export class Case {
  /** @param {FieldCategory} fieldCategory */
  constructor(fieldCategory) {
    this.fieldCategory = fieldCategory;
    /** @type {CaseEvent[]} */
    this.events = [];
    /** @type {Map<string, CaseEvent>} */
    this.byId = new Map();
    this.age = new Age();
    this.consents = new Consents();
    this.referrals = new Referrals();
    this.holdings = new Holdings();
    /** @type {string | null} */ this.opener = null;
    this.openerLeft = false;
    /** @type {string | null} */ this.guardian = null;
    /** @type {string | null} */ this.outgoingGuardian = null;
    /** @type {Set<string>} */ this.proceedings = new Set();
    /** @type {Set<string>} */ this.left = new Set();
    /** @type {Window[]} */ this.windows = [];
    this.asylumOpen = false;
    /** @type {Map<string, number>} agency → position of the first complaint about it */
    this.complaints = new Map();
    this.erasedBefore = 0; // position
    /** @type {Set<string> | null} worked out when asked for, until something changes */
    this.involvedNow = null;
    /** @type {import("./consents.js").Consent | undefined} just before the latest message */
    this.recordBefore = undefined;
    this.birthDatesSealed = false;
  }

  // -- what an event changes before it is decided ------------------------------------------

  /** @param {CaseEvent} event @returns {CaseEvent} with every category it is decided in */
  enter(event) {
    const category = event.type === "RecordCorrected" ? this.correctedCategory(event) : null;
    if (category !== null && !event.categories.includes(category)) {
      event = { ...event, categories: [...event.categories, category] };
    }
    this.events.push(event);
    this.byId.set(event.id, event);
    this.referrals.enter(event);
    // 2.4: only a referral made and accepted later restores what leaving took.
    const back = event.type === "ReferralAccepted" && this.referrals.accepts(event);
    if (back) this.left.delete(event.emitter);
    this.recordBefore = this.consents.get(event.facts.consent_id);
    this.consents.apply(event.type, event.position, event.facts);
    this.noteBirthDate(event);
    CHANGES[event.type]?.(this, event);
    this.involvedNow = null;
    return event;
  }

  /** @param {CaseEvent} event */
  noteBirthDate(event) {
    const { facts, type } = event;
    if (facts.birth_date_stated && !("date_of_birth" in facts) && !("assessed_dob" in facts)) {
      this.birthDatesSealed = true;
    }
    const born = day(facts.date_of_birth);
    if (born !== null && (type === "IdentityRecorded" || type === "RecordCorrected")) {
      this.age.stated(born, event.at);
    }
  }

  /**
   * Category of the field a correction names; null if the case has no such event or field.
   * @param {CaseEvent} event @returns {string | null}
   */
  correctedCategory(event) {
    const corrected = this.byId.get(String(event.facts.corrects_event));
    if (!corrected) return null;
    const field = String(event.facts.field);
    if (corrected.type === "RecordCorrected" && field === "new_value") {
      return corrected.categories.find((one) => one !== "case_management") ?? "case_management";
    }
    return this.fieldCategory(corrected, field);
  }

  // -- what was decided --------------------------------------------------------------------

  /**
   * @param {import("./settlement.js").Settlement} settlement @param {CaseEvent} event
   */
  hold(settlement, event) {
    for (const recall of settlement.recalls) {
      for (const [id, names] of recall.items) this.holdings.drop(recall.to, id, names);
    }
    this.holdings.rebase(settlement.rebased);
    for (const [agency, bases] of settlement.released) {
      this.holdings.gain(agency, event.id, bases);
    }
    if (this.birthDatesSealed) this.age.asRecorded = settlement.age;
  }

  /** @param {import("./settlement.js").Settlement} settlement */
  holdBackfill(settlement) {
    for (const [agency, events] of settlement.backfill) {
      for (const [id, bases] of events) this.holdings.gain(agency, id, bases);
    }
    this.holdings.cameThrough(settlement.windows);
  }

  // -- 3.2: what ends after the decision ---------------------------------------------------

  /** @param {CaseEvent} event @param {string[]} leaving authorities that lose their grounds */
  leave(event, leaving) {
    const ending = this.referrals.ending(event);
    if (ending) ending.referral.state = ending.to;
    this.outgoingGuardian = null;
    this.involvedNow = null;
    for (const agency of leaving) {
      if (this.involved(agency)) this.left.add(agency);
      if (this.opener === agency) this.openerLeft = true;
      if (this.guardian === agency) this.guardian = null;
      this.referrals.leave(agency);
      this.involvedNow = null;
    }
  }

  // -- questions ---------------------------------------------------------------------------

  /** 2.1 @param {string} agency @returns {boolean} */
  involved(agency) {
    this.involvedNow ??= this.workOutInvolved();
    return this.involvedNow.has(agency);
  }

  /** @returns {Set<string>} */
  workOutInvolved() {
    const grounds = new Set([...this.proceedings, ...this.referrals.involving()]);
    if (this.opener !== null && !this.openerLeft) grounds.add(this.opener);
    if (this.guardian !== null) grounds.add(this.guardian);
    if (this.outgoingGuardian !== null) grounds.add(this.outgoingGuardian);
    for (const agency of this.left) grounds.delete(agency);
    return grounds;
  }

  /** 2.2 @param {string} agency @param {CaseEvent} event @returns {boolean} */
  concerned(agency, event) {
    const referral = this.referrals.of(event);
    const offered = referral?.state === "pending" && referral.recipient === agency;
    return offered || this.involved(agency);
  }

  /**
   * 2.10: the earliest open window.
   * @param {string} agency @param {string} category @param {number} now
   * @returns {Window | undefined}
   */
  openWindow(agency, category, now) {
    return this.windows.find(
      (one) =>
        one.agency === agency &&
        !one.closed &&
        one.from <= now &&
        now < one.until &&
        one.requested.has(category),
    );
  }

  /** Events before this one whose content was not destroyed. @param {CaseEvent} event */
  earlier(event) {
    return this.events.filter((one) => !this.erased(one) && one.position < event.position);
  }

  /** Whether its content was destroyed (6.4). @param {CaseEvent} event @returns {boolean} */
  erased(event) {
    return event.position < this.erasedBefore;
  }
}

/** @type {Record<string, (theCase: Case, event: CaseEvent) => void>} */
const CHANGES = {
  CaseOpened(theCase, { emitter, facts }) {
    if (theCase.opener !== null) return;
    theCase.opener = emitter;
    theCase.age.opened(String(facts.age_status));
  },
  ProceedingLinked(theCase, { emitter, role }) {
    if (PROCEEDING_ROLES.has(role)) theCase.proceedings.add(emitter);
  },
  GuardianAppointed(theCase, { facts }) {
    const named = facts.guardian_agency ?? null;
    if (named === theCase.guardian) return;
    theCase.outgoingGuardian = theCase.guardian;
    theCase.guardian = named;
  },
  BreakGlassInvoked(theCase, { id, emitter, at, facts }) {
    theCase.windows.push({
      id,
      agency: emitter,
      from: at,
      until: Math.min(instant(facts.expires_at) ?? at, at + WINDOW_MICROS),
      requested: new Set(facts.requested_categories ?? []),
      closed: false,
    });
  },
  BreakGlassReviewed(theCase, { facts }) {
    if (facts.outcome !== "not_justified") return;
    for (const one of theCase.windows) {
      if (one.id === facts.invocation_event_id) one.closed = true;
    }
  },
  AsylumClaimRecorded(theCase, { facts }) {
    theCase.asylumOpen = facts.status === "open";
  },
  AgeDisputed(theCase, { role, at }) {
    theCase.age.disputed(role, at);
  },
  AgeAssessed(theCase, { facts }) {
    const appeal = day(facts.appeal_open_until);
    theCase.age.assessed(String(facts.outcome), day(facts.assessed_dob), appeal);
  },
  FeedbackRecorded(theCase, { position, facts }) {
    const about = String(facts.about_agency);
    if (!["complaint", "safeguarding_concern"].includes(facts.kind)) return;
    if (!theCase.complaints.has(about)) theCase.complaints.set(about, position);
  },
  SubjectRequestDecided(theCase, { position, facts }) {
    if (facts.action === "key_destroyed") theCase.erasedBefore = position;
  },
};
