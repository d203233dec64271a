/**
 * What was decided when one event was recorded, and everything that follows from it.
 *
 * `settle` makes it from the event and the case; `readSettlement` from the record (JSON, form in
 * docs/evidence.md); `compared` puts the two side by side.
 */

/**
 * @typedef {import("./holdings.js").Bases} Bases
 * @typedef {{to: string, action: string, items: Map<string, Set<string>>}} Recall
 *
 * @typedef {{
 *   event: string, policy: string, parties: number, age: import("./age.js").AgeView,
 *   clockTrusted: boolean, categories: string[], left: string[],
 *   released: Map<string, Map<string, string>>,
 *   recalls: Recall[], rebased: Bases, backfill: Bases, windows: Bases, named: Array<[string, string[]]>,
 *   outcome: (agency: string, role: string, category: string) => string | undefined
 * }} Settlement
 */

/**
 * A recorded settlement. The record was checked against its leaf and is JSON; anything of another
 * shape throws.
 * @param {any} record @returns {Settlement}
 */
export function readSettlement(record) {
  /** @type {Map<string, any>} */
  const decided = new Map(Object.entries(record.decided ?? {}));
  const released = new Map();
  for (const [agency, outcomes] of decided) {
    const bases = Object.entries(outcomes).filter(([, one]) => typeof one === "string");
    if (bases.length) released.set(agency, new Map(bases));
  }
  const byRole = outsiders(record);
  return {
    event: record.event,
    policy: record.policy,
    parties: record.parties,
    age: { child: record.age[0], disputed: record.age[1] },
    clockTrusted: record.clock_trusted ?? true,
    categories: record.categories,
    left: record.left ?? [],
    released,
    recalls: (record.recalls ?? []).map((/** @type {any} */ one) => ({
      to: one.to,
      action: one.action,
      items: new Map(Object.entries(one.items).map(([id, names]) => [id, new Set(names)])),
    })),
    rebased: readBases(record.rebased),
    backfill: readBases(record.backfill),
    windows: readBases(record.windows),
    named: [...decided].map(([agency, outcomes]) => [agency, Object.keys(outcomes)]),
    outcome(agency, role, category) {
      const outcomes = decided.get(agency) ?? byRole.get(role) ?? {};
      return Object.hasOwn(outcomes, category) ? written(outcomes[category]) : undefined;
    },
  };
}

/** @param {any} record @returns {Map<string, any>} role → category → outcome */
function outsiders(record) {
  const byRole = new Map();
  for (const [outcomes, roles] of record.outsiders ?? []) {
    const named = Object.fromEntries(
      record.categories.map((/** @type {string} */ name, /** @type {number} */ at) => [
        name,
        outcomes[at],
      ]),
    );
    for (const role of roles) byRole.set(role, named);
  }
  return byRole;
}

/** @param {any} outcome a basis, or a list of reasons @returns {string} */
function written(outcome) {
  return typeof outcome === "string" ? `released: ${outcome}` : `withheld: ${outcome[0]}`;
}

/** @param {any} json @returns {Bases} */
export function readBases(json) {
  return new Map(
    Object.entries(json ?? {}).map(([agency, events]) => [
      agency,
      new Map(
        Object.entries(events).map(([id, names]) => [id, new Map(Object.entries(names))]),
      ),
    ]),
  );
}
