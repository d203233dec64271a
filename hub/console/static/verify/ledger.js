/**
 * What one case owes each agency: releases and recalls decided, in order, until they are made or
 * held back.
 *
 * A release carries what stood when it was marked as sending: what rests on a consent or a window is
 * looked at again then, and so is anything for an embassy during an asylum claim (docs/release.md 4).
 */

import { Case } from "./case.js";
import { dayOf } from "./dates.js";
import { holdBack, takeRecorded } from "./fold.js";
import { place } from "./manifest.js";
import { agreedTo } from "./recalls.js";
import { must } from "./refusal.js";
import { decide } from "./rules.js";

/**
 * lost: decided, and gone when it was sent; other: sent on another basis.
 * @typedef {import("./rows.js").Row} Row
 * @typedef {{
 *   decision: number, event: string, bases: Map<string, string>,
 *   recall: import("./settlement.js").Recall | null, done: boolean,
 *   lost: Set<string>, other: Map<string, string>
 * }} Owed
 */

/** Of one case, and of agencies whose deliveries are in the bundle. */
export class Ledger {
  /**
   * @param {import("./manifest.js").Manifest} manifest
   * @param {import("./register.js").Register} register
   * @param {import("./event-schemas.js").EventSchemas} schemas
   */
  constructor(manifest, register, schemas) {
    this.scope = manifest.scope;
    this.register = register;
    this.schemas = schemas;
    this.theCase = new Case(schemas.fieldCategory);
    /** @type {Map<string, Owed>} by agency, decision, event and kind */
    this.owed = new Map();
    /** @type {Map<string, Owed[]>} by agency, in order, those in front that are done left out */
    this.open = new Map();
    /** @type {Map<string, Owed[]>} by agency: sent with less or on another basis, not told yet */
    this.changed = new Map();
    /** @type {import("./age.js").AgeView} as recorded last */
    this.age = { child: false, disputed: false };
  }

  /** @param {Row[]} rows by position @param {Map<number, Row>} pairs */
  run(rows, pairs) {
    for (const row of rows) {
      const event = pairs.get(row.position);
      if (event) {
        const entered = takeRecorded(this.theCase, event, row);
        this.age = row.json.settlement.age;
        this.owe(row, entered.id);
      } else if (row.topic === "nrm.DeliveryLog.Sending") {
        must(this.theCase.events.length > 0, "delivery_differs", place(row.position));
        this.sent(row);
      } else if (row.topic === "nrm.Case.HeldBack") {
        this.heldBack(row);
        holdBack(this.theCase, row);
      }
    }
  }

  /** Whether all deliveries of this kind are in the bundle. @param {string} to @param {string} id */
  told(to, id) {
    if (this.scope.agency !== null) return to === this.scope.agency;
    return this.scope.event === null || id === this.scope.event;
  }

  /** @param {Row} row a settlement @param {string} id of its event */
  owe(row, id) {
    /** @type {import("./settlement.js").Settlement} */
    const settlement = row.json.settlement;
    const add = (
      /** @type {string} */ agency,
      /** @type {string} */ event,
      /** @type {Map<string, string>} */ bases,
      /** @type {import("./settlement.js").Recall | null} */ recall = null,
    ) => {
      if (!this.told(agency, id)) return;
      const lost = new Set();
      const one = { decision: row.position, event, bases, recall, done: false, lost, other: new Map() };
      const position = this.theCase.byId.get(event)?.position ?? 0;
      const kind = recall ? "recall" : "release";
      this.owed.set(keyOf(agency, row.position, position, kind), one);
      const open = this.open.get(agency) ?? [];
      open.push(one);
      this.open.set(agency, open);
    };
    for (const recall of settlement.recalls) add(recall.to, id, new Map(), recall);
    for (const [agency, bases] of settlement.released) add(agency, id, bases);
    for (const [agency, events] of settlement.backfill) {
      for (const [event, bases] of events) add(agency, event, bases);
    }
  }

  /** @param {Row} row */
  sent(row) {
    const { value, json, position } = row;
    const where = place(position);
    const { agency, decision, event_position: about, kind } = value;
    const one = this.owed.get(keyOf(agency, decision, about, kind));
    must(one && !one.done, "delivery_differs", where);
    const [first] = this.waiting(agency);
    const changed = this.changed.get(agency) ?? [];
    const late = first.decision < one.decision;
    const untold = changed.some((before) => before.decision < one.decision);
    must(!late && !untold, "delivery_differs", where);
    one.done = true;
    if (one.recall) {
      const told = new Map(json.recall.items.map(([id, names]) => [id, new Set(names)]));
      const right = itemsText(told) === itemsText(one.recall.items);
      must(right && json.recall.action === one.recall.action, "delivery_differs", where);
      return;
    }
    const bases = new Map(Object.entries(json.bases));
    const stands = this.ages(row).some(
      (age) => basesText(this.standing(row, one, age)) === basesText(bases),
    );
    must(stands, "delivery_differs", where);
    for (const [name, basis] of one.bases) {
      const now = bases.get(name);
      if (now === undefined) one.lost.add(name);
      else if (now !== basis) one.other.set(name, now);
    }
    if (one.lost.size || one.other.size) this.changed.set(agency, [...changed, one]);
  }

  /** What is owed and neither sent nor held back, oldest first. @param {string} agency */
  waiting(agency) {
    const open = this.open.get(agency) ?? [];
    let done = 0;
    while (done < open.length && open[done].done) done += 1;
    if (done) open.splice(0, done);
    return open;
  }

  /** What was decided and no longer stood: its list must be the one worked out. @param {Row} row */
  heldBack(row) {
    const { value, json, position } = row;
    const where = place(position);
    if (this.scope.agency !== null && this.scope.agency !== value.agency) return;
    /** @type {Map<string, string[]>} */
    const items = new Map(Object.entries(json.heldBack));
    const rebased = new Map(Object.entries(json.rebased));
    for (const one of this.changed.get(value.agency) ?? []) {
      const lost = items.get(one.event) ?? [];
      const other = new Map(Object.entries(rebased.get(one.event) ?? {}));
      items.delete(one.event);
      rebased.delete(one.event);
      const right = namesText(lost) === namesText(one.lost) && basesText(other) === basesText(one.other);
      must(right, "delivery_differs", where);
    }
    this.changed.delete(value.agency);
    for (const [event, names] of items) {
      const unsent = this.waiting(value.agency).find(
        (one) =>
          !one.done && one.event === event && namesText(one.bases.keys()) === namesText(names),
      );
      if (!unsent && this.scope.event !== null) continue;
      must(unsent, "delivery_differs", where);
      const stood = this.ages(row).every((age) => this.standing(row, unsent, age).size > 0);
      must(!stood, "delivery_differs", where);
      unsent.done = true;
    }
    must(rebased.size === 0, "delivery_differs", where);
  }

  /** As can be worked out; else as recorded last, or come of age since. @param {Row} row */
  ages(row) {
    const { profile } = this.lawAt(row);
    if (!this.theCase.birthDatesSealed) {
      return [this.theCase.age.view(Number(row.value.timestamp), profile.enforcementRoles)];
    }
    return [this.age, { child: false, disputed: this.age.disputed }];
  }

  /** @param {Row} row */
  lawAt({ position }) {
    const found = this.register.profileBefore(position);
    must(found, "register_incomplete", place(position));
    return found;
  }

  /**
   * What still stands of what was owed, and on which basis.
   * @param {Row} row @param {Owed} one @param {import("./age.js").AgeView} age
   * @returns {Map<string, string>}
   */
  standing(row, one, age) {
    const found = new Map();
    const { theCase } = this;
    const party = this.register.partiesBefore(row.position).get(row.value.agency);
    const event = theCase.byId.get(one.event);
    if (!party?.receives || !event) return found;
    if (theCase.erased(event)) return found;
    const { profile } = this.lawAt(row);
    const now = Number(row.value.timestamp);
    for (const [category, basis] of one.bases) {
      if (this.stands(party, event, category, basis, dayOf(now))) {
        found.set(category, basis);
        continue;
      }
      const { agency, role } = party;
      const { groupOf } = this.schemas;
      const [first, windows] = [false, true];
      const outcome = decide({
        theCase, event, agency, role, category, now, age, profile, groupOf, first, windows,
      });
      if (outcome.released) found.set(category, outcome.basis);
    }
    return found;
  }

  /**
   * Whether a basis stands without deciding again.
   * @param {import("./settle.js").Party} party @param {import("./case.js").CaseEvent} event
   * @param {string} category @param {string} basis @param {number} today @returns {boolean}
   */
  stands({ agency, role }, event, category, basis, today) {
    if (basis === "vital_interests") return false;
    if (role === "embassy" && this.theCase.asylumOpen) return false;
    if (!basis.startsWith("consent:")) return true;
    const record = this.theCase.consents.get(basis.slice("consent:".length));
    const granted = record?.scope.get(agency)?.get(agreedTo(this.theCase, event.id, category));
    if (!record || granted === undefined || !record.active(today)) return false;
    return record.coversHistory || event.position >= granted;
  }
}

/** @param {Array<string | number>} parts @returns {string} */
function keyOf(...parts) {
  return parts.join(" ");
}

/** @param {Iterable<string>} names @returns {string} */
function namesText(names) {
  return JSON.stringify([...names].sort());
}

/** @param {Map<string, any>} bases @returns {string} */
function basesText(bases) {
  return JSON.stringify([...bases].sort());
}

/** @param {Map<string, Set<string>>} items @returns {string} */
function itemsText(items) {
  return namesText([...items].map(([id, names]) => `${id} ${namesText(names)}`));
}
