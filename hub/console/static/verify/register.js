/**
 * Step 7: who took part in which role, with which keys, under which profile, by log position.
 *
 * A key or agreement is valid from its row on until the row that ends it.
 */

import { hex } from "./bytes.js";
import { place } from "./manifest.js";
import { Profile } from "./profile.js";
import { must, Refusal } from "./refusal.js";

/**
 * @typedef {{public: Uint8Array, from: number, to: number}} Key valid in [from, to)
 * @typedef {{
 *   agency: string, name: string, role: string, enrolled: number, keys: Map<string, Key>,
 *   agreements: Array<[number, boolean]>
 * }} Agency
 */

export class Register {
  /** @param {import("./rows.js").Row[]} rows */
  constructor(rows) {
    /** @type {Map<string, Agency>} */
    this.agencies = new Map();
    /** @type {number[]} */
    this.changes = [];
    /** @type {Array<{position: number, version: string, profile: Profile}>} */
    this.profiles = [];
    for (const row of rows) {
      if (row.why === "register") this.take(row);
      if (row.topic === "nrm.PolicyProfile.Published") this.profiles.push(published(row));
    }
  }

  /** @param {import("./rows.js").Row} row */
  take({ topic, value, position }) {
    this.changes.push(position);
    if (topic === "nrm.Agency.Enrolled") {
      const { agency, name, role } = value;
      const one = { agency, name, role, enrolled: position, keys: new Map(), agreements: [] };
      this.agencies.set(agency, one);
    }
    const agency = this.agencies.get(value.agency);
    must(agency, "register_incomplete", place(position));
    if (topic === "nrm.Agency.Enrolled" || topic === "nrm.Agency.KeyAdded") {
      const key = { public: value.public, from: position, to: Infinity };
      agency.keys.set(hex(value.key_id), key);
    } else if (topic === "nrm.Agency.KeyRevoked") {
      const key = agency.keys.get(hex(value.key_id));
      must(key, "register_incomplete", place(position));
      key.to = position;
    } else if (topic === "nrm.Agreement.Signed" || topic === "nrm.Agreement.Ended") {
      agency.agreements.push([position, topic === "nrm.Agreement.Signed"]);
    }
  }

  /**
   * The public key, if the agency had it and it was valid there.
   * @param {string} agency @param {Uint8Array} keyId @param {number} position
   * @returns {Uint8Array | null}
   */
  key(agency, keyId, position) {
    const key = this.agencies.get(agency)?.keys.get(hex(keyId));
    return key && key.from <= position && position < key.to ? key.public : null;
  }

  /**
   * Everybody who could receive something just before a position.
   * @param {number} position @returns {Map<string, import("./settle.js").Party>}
   */
  partiesBefore(position) {
    const parties = new Map();
    for (const one of this.agencies.values()) {
      if (one.enrolled >= position) continue;
      const last = one.agreements.filter(([at]) => at < position).at(-1);
      const { agency, role } = one;
      parties.set(agency, { agency, role, receives: last ? last[1] : false });
    }
    return parties;
  }

  /** Position of the last change before a position. @param {number} position */
  lastChange(position) {
    return this.changes.filter((one) => one < position).at(-1) ?? 0;
  }

  /** The profile in force just before a position. @param {number} position */
  profileBefore(position) {
    return this.profiles.filter((one) => one.position < position).at(-1);
  }
}

/** @param {import("./rows.js").Row} row */
function published({ position, value, json }) {
  try {
    return { position, version: value.version, profile: new Profile(json.document) };
  } catch {
    throw new Refusal("bad_row", place(position), 6);
  }
}

/**
 * Every decision rests on the register and the profile that are here.
 * @param {import("./rows.js").Row[]} rows @returns {Register}
 */
export function readRegister(rows) {
  const register = new Register(rows);
  for (const { topic, value, position } of rows) {
    if (topic !== "nrm.Case.Settled") continue;
    const last = register.lastChange(value.position);
    const profile = register.profileBefore(value.position);
    const whole = last === value.parties && profile?.version === value.policy;
    must(whole, "register_incomplete", place(position));
  }
  return register;
}
