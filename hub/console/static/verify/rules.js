/**
 * May this agency see this category of this event, and why? (docs/release.md 4)
 *
 * Written from that text; the number of a rule is its number there. Answers are texts: a basis, or
 * a reason.
 */

import { dayOf } from "./dates.js";
import { isReferralMessage } from "./referrals.js";

/**
 * first: the event is being decided for the first time, not again for somebody catching up.
 * windows: false asks as if no break-glass window had been opened.
 * @typedef {{
 *   theCase: import("./case.js").Case, event: import("./case.js").CaseEvent,
 *   agency: string, role: string, category: string, now: number,
 *   age: import("./age.js").AgeView, profile: import("./profile.js").Profile,
 *   groupOf: import("./case.js").GroupOf, first: boolean, windows: boolean
 * }} Ask
 *
 * @typedef {{released: true, basis: string, window?: string}
 *   | {released: false, reason: string}} Outcome
 */

const NOTIFIED = new Set(["competent_authority", "police"]);

/** @param {string} basis @param {string} [window] @returns {Outcome} */
function release(basis, window) {
  return window === undefined ? { released: true, basis } : { released: true, basis, window };
}

/** @param {string} reason @returns {Outcome} */
function withhold(reason) {
  return { released: false, reason };
}

/**
 * The first rule that applies decides. A rule that fails withholds.
 * @param {Ask} ask @returns {Outcome}
 */
export function decide(ask) {
  try {
    return byTheRules(ask);
  } catch {
    return withhold("rule_failed");
  }
}

/** @param {Ask} ask @returns {Outcome} */
function byTheRules(ask) {
  const { theCase, event, agency, role, category, now, profile } = ask;
  const group = ask.groupOf(event);
  const today = dayOf(now);
  const child = ask.age.child || (ask.age.disputed && profile.disputeServes.has(role));
  let mode = profile.mode(role, category);
  const consented = () => {
    const record = theCase.consents.counting(agency, category, event.position, today);
    return record
      ? release(`consent:${record.id}`)
      : withhold(theCase.consents.whyNot(agency, category, today));
  };

  // 4.1
  if (role === "embassy" && (theCase.asylumOpen || event.type === "AsylumClaimRecorded")) {
    return withhold("asylum_embassy");
  }
  // 4.2
  if (ask.windows && profile.windowMayOpen(role, category)) {
    const window = theCase.openWindow(agency, category, now);
    if (window) return release("vital_interests", window.id);
  }
  // 4.3
  if (event.type === "DutyNotificationSubmitted") {
    return NOTIFIED.has(role) ? release("legal_obligation") : withhold("not_involved");
  }
  // 4.4
  if (mode === "N") return withhold("never_rule");
  // 4.5
  if (mode === "A" && category !== "deidentified_account") return release("statutory_minimum");
  if (mode === "A") mode = "C";
  // 4.6
  if (!theCase.concerned(agency, event)) return withhold("not_involved");
  // 4.7
  if (isReferralMessage(event.type) && !partyToReferral(ask)) return withhold("not_party");
  // 4.8
  if (group === "consent" && !partyToConsent(ask)) return withhold("not_party");
  // 4.9
  if (event.type === "CaseLinkDecided") {
    if (category === "consent") return decide({ ...ask, category: "linkage" });
    if (category === "linkage" && event.facts.agreed_by_person !== true) {
      return withhold(theCase.consents.whyNot(agency, "linkage", today));
    }
  }
  // 4.10
  if (category === "case_management" && !isReferralMessage(event.type)) {
    if (!profile.admits(role, group)) {
      const missing = event.type === "AccommodationEnded" && event.facts.reason === "missing";
      const alert = missing && child && role === "police" && theCase.involved(agency);
      return alert ? release("safeguarding") : withhold("not_relevant");
    }
  }
  // 4.11
  if (complainedAbout(ask)) mode = "C";
  // 4.12
  if (mode === "D" && profile.privateBodies.has(role) && !child && theCase.opener !== agency) {
    if (!activelyNamed(ask, today)) return withhold(theCase.consents.whyNot(agency, null, today));
  }
  // 4.13
  if (mode === "D") return release("public_task");
  // 4.14
  if ((mode === "K" || mode === "X") && child) return release("safeguarding");
  if (mode === "X") return withhold("age_rule");
  // 4.15
  return consented();
}

/** @param {Ask} ask @returns {boolean} */
function partyToReferral({ theCase, event, agency, role }) {
  const referral = theCase.referrals.of(event);
  if (referral && [referral.sender, referral.recipient].includes(agency)) return true;
  return role === "legal_rep" || role === "guardian" || theCase.guardian === agency;
}

/** @param {Ask} ask @returns {boolean} */
function partyToConsent({ theCase, event, agency, first }) {
  if (theCase.consents.get(event.facts.consent_id)?.names(agency)) return true;
  return first && (theCase.recordBefore?.names(agency) ?? false);
}

/** @param {Ask} ask @returns {boolean} */
function complainedAbout({ theCase, event, agency }) {
  if (event.type === "FeedbackRecorded") return event.facts.about_agency === agency;
  if (event.type !== "ComplaintResolved") return false;
  return (theCase.complaints.get(agency) ?? Infinity) < event.position;
}

/** @param {Ask} ask @param {number} today @returns {boolean} */
function activelyNamed({ theCase, event, agency, first, groupOf }, today) {
  if (theCase.consents.activelyNames(agency, today)) return true;
  if (!first || groupOf(event) !== "consent") return false;
  const before = theCase.recordBefore;
  return before !== undefined && before.names(agency) && before.active(today);
}
