/**
 * Consent records of one case (docs/release.md 2.7 to 2.9).
 *
 * A record is a set of pairs (agency, category), each with the log position that granted it.
 */

import { day } from "./dates.js";

/** What a record says; a later message makes another one of it. */
export class Consent {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    /** @type {Map<string, Map<string, number>>} agency → category → position */
    this.scope = new Map();
    /** @type {Map<string, Set<string>>} every pair it ever held */
    this.ever = new Map();
    this.coversHistory = false;
    /** @type {number} last day */
    this.validUntil = -Infinity;
    this.expired = false;
  }

  /** @returns {Consent} */
  copy() {
    const copy = new Consent(this.id);
    copy.scope = new Map([...this.scope].map(([agency, pairs]) => [agency, new Map(pairs)]));
    copy.ever = new Map([...this.ever].map(([agency, names]) => [agency, new Set(names)]));
    copy.coversHistory = this.coversHistory;
    copy.validUntil = this.validUntil;
    copy.expired = this.expired;
    return copy;
  }

  /** @param {string} agency @returns {boolean} */
  names(agency) {
    return this.scope.has(agency);
  }

  /** @param {string} agency @param {string} category @returns {boolean} */
  holds(agency, category) {
    return this.scope.get(agency)?.has(category) ?? false;
  }

  /** @param {number} today @returns {boolean} */
  active(today) {
    return !this.expired && today <= this.validUntil;
  }

  /**
   * Take a scope as it is written; pairs among `kept` keep their position.
   * @param {unknown} written @param {number} position
   * @param {Map<string, Map<string, number>>} kept
   */
  setScope(written, position, kept) {
    this.scope = new Map();
    for (const [agency, names] of Object.entries(written ?? {})) {
      const pairs = new Map();
      for (const name of names) pairs.set(name, kept.get(agency)?.get(name) ?? position);
      if (pairs.size) this.scope.set(agency, pairs);
      const ever = this.ever.get(agency) ?? new Set();
      for (const name of names) ever.add(name);
      this.ever.set(agency, ever);
    }
  }

  /** @param {(agency: string, category: string) => boolean} gone */
  drop(gone) {
    for (const [agency, pairs] of this.scope) {
      for (const name of [...pairs.keys()]) if (gone(agency, name)) pairs.delete(name);
      if (!pairs.size) this.scope.delete(agency);
    }
  }
}

/** All records, oldest first; a record given again stays as old as its first giving. */
export class Consents {
  constructor() {
    /** @type {Map<string, Consent>} */
    this.records = new Map();
  }

  /** @param {unknown} id @returns {Consent | undefined} */
  get(id) {
    return this.records.get(String(id));
  }

  /**
   * @param {string} type @param {number} position @param {Record<string, any>} facts
   */
  apply(type, position, facts) {
    const id = String(facts.consent_id);
    if (type === "ConsentGiven") {
      const record = this.records.get(id)?.copy() ?? new Consent(id);
      record.setScope(facts.scope, position, new Map());
      record.coversHistory = facts.covers_history === true;
      record.validUntil = day(facts.valid_until) ?? -Infinity;
      record.expired = false;
      this.records.set(id, record);
      return;
    }
    const record = this.records.get(id)?.copy();
    if (!record) return;
    if (type === "ConsentAmended") {
      record.setScope(facts.scope, position, record.scope);
      record.validUntil = day(facts.valid_until) ?? -Infinity;
    } else if (type === "ConsentWithdrawn") {
      record.drop(withdrawn(facts));
    } else if (type === "ConsentExpired") {
      record.expired = true;
    }
    this.records.set(id, record);
  }

  /**
   * The oldest record that counts for an event (2.8).
   * @param {string} agency @param {string} category @param {number} position of the event
   * @param {number} today @returns {Consent | undefined}
   */
  counting(agency, category, position, today) {
    for (const record of this.records.values()) {
      const granted = record.scope.get(agency)?.get(category);
      if (granted === undefined || !record.active(today)) continue;
      if (record.coversHistory || position >= granted) return record;
    }
    return undefined;
  }

  /**
   * Why none does (2.9): told by the newest record that ever held the pair; without a category, any
   * pair of the agency.
   * @param {string} agency @param {string | null} category @param {number} today @returns {string}
   */
  whyNot(agency, category, today) {
    for (const record of [...this.records.values()].reverse()) {
      const ever = record.ever.get(agency);
      if (!ever || (category !== null && !ever.has(category))) continue;
      const held = category === null ? record.names(agency) : record.holds(agency, category);
      if (!held) return "withdrawn";
      return record.active(today) ? "no_consent" : "expired";
    }
    return "no_consent";
  }

  /** @param {string} agency @param {number} today @returns {boolean} */
  activelyNames(agency, today) {
    return [...this.records.values()].some((one) => one.names(agency) && one.active(today));
  }
}

/** @param {Record<string, any>} facts @returns {(agency: string, category: string) => boolean} */
function withdrawn(facts) {
  const recipients = new Set(facts.recipients ?? []);
  const categories = new Set(facts.categories ?? []);
  if (facts.extent === "all") return () => true;
  if (facts.extent === "recipients") return (agency) => recipients.has(agency);
  if (facts.extent === "categories") return (_agency, category) => categories.has(category);
  return () => false;
}
