/**
 * What has to be given back after an event (docs/release.md 6).
 *
 * An item is an event and category an agency holds, on the basis it was released on.
 */

import { put } from "./holdings.js";

/** @typedef {[string, string, string, string]} Item agency, event, category, basis */

/**
 * @param {import("./case.js").Case} theCase
 * @param {import("./case.js").CaseEvent} event
 * @param {import("./settlement.js").Settlement} settlement what was decided about the event
 * @param {(agency: string, id: string, category: string) =>
 *   import("./rules.js").Outcome | undefined} again decides an item in today's state, windows aside
 * @returns {{recalls: import("./settlement.js").Recall[], rebased: import("./holdings.js").Bases}}
 */
export function recallsOf(theCase, event, settlement, again) {
  const { facts, type } = event;
  const held = theCase.holdings.all();
  /** @type {import("./holdings.js").Bases} */
  const rebased = new Map();
  /** @type {Item[]} */
  let hit = [];
  let action = "delete";
  if (type === "ConsentWithdrawn" || type === "ConsentAmended") {
    // 6.1
    action = "delete_or_restrict";
    const record = theCase.consents.get(facts.consent_id);
    const basis = `consent:${facts.consent_id}`;
    hit = held.filter(
      ([agency, id, category, on]) =>
        on === basis && !record?.holds(agency, agreedTo(theCase, id, category)),
    );
  } else if (theCase.referrals.of(event)?.state === "pending") {
    // 6.2
    const referral = theCase.referrals.ending(event)?.referral;
    if (referral) {
      hit = held.filter(([agency, id]) => agency === referral.recipient && id === referral.offer);
    }
  } else if (type === "RecordCorrected") {
    // 6.3
    action = "delete_or_restrict";
    const corrected = theCase.correctedCategory(event);
    hit = held.filter(
      ([agency, id, category]) =>
        id === facts.corrects_event &&
        category === corrected &&
        !theCase.involved(agency) &&
        !settlement.released.get(agency)?.has(category),
    );
  } else if (type === "SubjectRequestDecided" && facts.action === "key_destroyed") {
    // 6.4
    hit = held;
  } else if (type === "BreakGlassReviewed" && facts.outcome === "not_justified") {
    // 6.5
    const window = theCase.windows.find((one) => one.id === facts.invocation_event_id);
    for (const item of held) {
      const [agency, id, category, basis] = item;
      const through = theCase.holdings.through.get(agency)?.get(id)?.get(category);
      if (!window || basis !== "vital_interests" || through !== window.id) continue;
      const outcome = again(agency, id, category);
      if (outcome?.released) put(rebased, agency, id, category, outcome.basis);
      else hit.push(item);
    }
  }
  return { recalls: perAgency(hit, action), rebased };
}

/**
 * The category a consent has to name for an item: rule 4.9 reads a link's `consent` as `linkage`.
 * @param {import("./case.js").Case} theCase @param {string} id @param {string} category
 * @returns {string}
 */
export function agreedTo(theCase, id, category) {
  const link = theCase.byId.get(id)?.type === "CaseLinkDecided";
  return link && category === "consent" ? "linkage" : category;
}

/** @param {Item[]} items @param {string} action @returns {import("./settlement.js").Recall[]} */
function perAgency(items, action) {
  /** @type {Map<string, Map<string, Set<string>>>} */
  const found = new Map();
  for (const [agency, id, category] of items) {
    const events = found.get(agency) ?? new Map();
    found.set(agency, events.set(id, (events.get(id) ?? new Set()).add(category)));
  }
  return [...found].map(([to, events]) => ({ to, action, items: events }));
}
