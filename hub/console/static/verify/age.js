/**
 * Whether the person is a child (docs/release.md 2.6 and 2.6a).
 *
 * What was said about age is kept in order and read when a decision asks, because whose dispute
 * counts depends on the profile decided on.
 */

import { comingOfAge, dayOf } from "./dates.js";

/**
 * child: treated as a child by everybody. disputed: by those only whom a dispute by enforcement
 * serves.
 * @typedef {{child: boolean, disputed: boolean}} AgeView
 */

export class Age {
  constructor() {
    /** @type {Array<(state: State, roles: Set<string>) => void>} */
    this.said = [];
    /** @type {AgeView | null} used instead, where birth dates cannot be read */
    this.asRecorded = null;
  }

  /** @param {string} status */
  opened(status) {
    this.said.push((state) => {
      state.status = status;
    });
  }

  /** @param {string} role of who disputes @param {number} at */
  disputed(role, at) {
    this.said.push((state, enforcement) => {
      const grown = state.status === "adult" || (state.status === "child" && !isChild(state, at));
      if (enforcement.has(role) && grown) {
        state.byEnforcement = true;
      } else {
        state.status = "age_disputed";
        state.byEnforcement = false;
      }
    });
  }

  /** @param {string} outcome @param {number | null} born @param {number | null} appealUntil */
  assessed(outcome, born, appealUntil) {
    this.said.push((state) => {
      state.status = outcome === "inconclusive" ? "age_disputed" : outcome;
      state.assessed = true;
      state.appealUntil = appealUntil;
      state.assessedBirth = born ?? state.assessedBirth;
      state.byEnforcement = false;
    });
  }

  /**
   * A date of birth recorded or corrected; counts only if it made the person a minor then.
   * @param {number} born @param {number} at
   */
  stated(born, at) {
    if (dayOf(at) >= comingOfAge(born)) return;
    this.said.push((state) => {
      state.statedBirth = born;
      if (state.status === "adult" && !state.assessed) {
        state.status = "age_disputed";
        state.byEnforcement = false;
      } else if (state.status === "child" && state.assessedBirth === null) {
        state.byEnforcement = false;
      }
    });
  }

  /**
   * @param {number} now @param {Set<string>} enforcementRoles @returns {AgeView}
   */
  view(now, enforcementRoles) {
    if (this.asRecorded) return this.asRecorded;
    const state = new State();
    for (const apply of this.said) apply(state, enforcementRoles);
    return { child: isChild(state, now), disputed: state.byEnforcement };
  }
}

class State {
  status = "unknown";
  assessed = false;
  byEnforcement = false;
  /** @type {number | null} */ appealUntil = null;
  /** @type {number | null} */ assessedBirth = null;
  /** @type {number | null} */ statedBirth = null;
}

/** @param {State} state @param {number} now @returns {boolean} */
function isChild(state, now) {
  if (state.status === "adult") {
    return state.assessed && state.appealUntil !== null && dayOf(now) <= state.appealUntil;
  }
  if (state.status !== "child") return true;
  const born = state.assessedBirth ?? state.statedBirth;
  return born === null || dayOf(now) < comingOfAge(born);
}
