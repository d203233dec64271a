/**
 * What each agency holds of a case: (event, category) on the basis it was released on
 * (docs/release.md 6), and through which break-glass window it came.
 */

/** @typedef {Map<string, Map<string, Map<string, string>>>} Bases agency → event → category → … */

export class Holdings {
  constructor() {
    /** @type {Bases} */
    this.held = new Map();
    /** @type {Bases} agency → event → category → id of the invocation */
    this.through = new Map();
  }

  /** @param {string} agency @param {string} event @param {string} category */
  basis(agency, event, category) {
    return this.held.get(agency)?.get(event)?.get(category);
  }

  /** @param {string} agency @param {string} event @param {Map<string, string>} bases */
  gain(agency, event, bases) {
    for (const [category, basis] of bases) put(this.held, agency, event, category, basis);
  }

  /** @param {string} agency @param {string} event @param {Iterable<string>} categories */
  drop(agency, event, categories) {
    for (const category of categories) {
      this.held.get(agency)?.get(event)?.delete(category);
      this.through.get(agency)?.get(event)?.delete(category);
    }
  }

  /** Held from now on on another basis; what is not held gains nothing. @param {Bases} bases */
  rebase(bases) {
    for (const [agency, event, category, basis] of each(bases)) {
      if (this.basis(agency, event, category) === undefined) continue;
      put(this.held, agency, event, category, basis);
      this.through.get(agency)?.get(event)?.delete(category);
    }
  }

  /** @param {Bases} windows */
  cameThrough(windows) {
    for (const [agency, event, category, id] of each(windows)) {
      put(this.through, agency, event, category, id);
    }
  }

  /** Everything held: [agency, event, category, basis]. */
  all() {
    return [...each(this.held)];
  }
}

/**
 * @param {Bases} bases @returns {Generator<[string, string, string, string]>}
 */
export function* each(bases) {
  for (const [agency, events] of bases) {
    for (const [event, names] of events) {
      for (const [category, value] of names) yield [agency, event, category, value];
    }
  }
}

/**
 * @param {Bases} bases @param {string} agency @param {string} event @param {string} category
 * @param {string} value
 */
export function put(bases, agency, event, category, value) {
  const events = bases.get(agency) ?? new Map();
  const names = events.get(event) ?? new Map();
  bases.set(agency, events.set(event, names.set(category, value)));
}
