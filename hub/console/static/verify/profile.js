/**
 * Policy profile: one jurisdiction's matrix and firewall, as it was recorded.
 *
 * Default deny: what a profile does not name is mode N.
 */

export class Profile {
  /** @param {any} document */
  constructor(document) {
    this.version = String(document.version);
    this.matrix = document.matrix;
    this.gates = sets(document.event_group_gate);
    this.breakGlass = sets(document.break_glass);
    /** @type {Set<string>} */
    this.privateBodies = new Set(document.private_bodies);
    /** @type {Set<string>} */
    this.enforcementRoles = new Set(document.enforcement_roles);
    /** @type {Set<string>} */
    this.disputeServes = new Set(document.enforcement_dispute_serves);
  }

  /** @param {string} role @param {string} category @returns {string} A, D, C, K, X or N */
  mode(role, category) {
    const row = Object.hasOwn(this.matrix, role) ? this.matrix[role] : {};
    return Object.hasOwn(row, category) ? row[category] : "N";
  }

  /** @param {string} role @param {string} group @returns {boolean} */
  admits(role, group) {
    return this.gates.get(role)?.has(group) ?? false;
  }

  /** @param {string} role @param {string} category @returns {boolean} */
  windowMayOpen(role, category) {
    return this.breakGlass.get(role)?.has(category) ?? false;
  }
}

/** @param {Record<string, string[]>} lists @returns {Map<string, Set<string>>} */
function sets(lists) {
  return new Map(Object.entries(lists).map(([role, names]) => [role, new Set(names)]));
}
