/**
 * Referrals and transfers of one case (docs/release.md 2.2 to 2.4).
 *
 * Pending until the recipient answers; an id may be used again once the former one was declined or
 * ended, so each message is tied to the referral it was about when it was recorded.
 */

/**
 * @typedef {{
 *   kind: string, id: string, sender: string, recipient: string, offer: string,
 *   state: "pending" | "accepted" | "declined" | "ended", void: boolean
 * }} Referral
 */

/** Messages of rule 7, and the fact that names the referral or transfer. */
const MESSAGES = new Map([
  ["ReferralMade", ["referral", "referral_id"]],
  ["ReferralAccepted", ["referral", "referral_id"]],
  ["ReferralDeclined", ["referral", "referral_id"]],
  ["ReferralEnded", ["referral", "referral_id"]],
  ["TransferOffered", ["transfer", "transfer_id"]],
  ["TransferAnswered", ["transfer", "transfer_id"]],
]);

/** @param {string} type @returns {boolean} */
export function isReferralMessage(type) {
  return MESSAGES.has(type);
}

export class Referrals {
  constructor() {
    /** @type {Map<string, Referral>} the latest of each kind and id */
    this.latest = new Map();
    /** @type {Map<string, Referral>} event id → what that message was about */
    this.about = new Map();
  }

  /** @param {import("./case.js").CaseEvent} event @returns {Referral | undefined} */
  of(event) {
    return this.about.get(event.id);
  }

  /**
   * Before the decision: an offer opens one, an acceptance by its recipient takes it up.
   * @param {import("./case.js").CaseEvent} event
   */
  enter(event) {
    const message = MESSAGES.get(event.type);
    if (!message) return;
    const [kind, name] = message;
    const key = `${kind} ${event.facts[name]}`;
    if (event.type === "ReferralMade" || event.type === "TransferOffered") {
      this.latest.set(key, {
        kind,
        id: String(event.facts[name]),
        sender: event.emitter,
        recipient: String(event.facts.to_agency),
        offer: event.id,
        state: "pending",
        void: false,
      });
    }
    const referral = this.latest.get(key);
    if (!referral) return;
    this.about.set(event.id, referral);
    const answered = accepting(event) && referral.recipient === event.emitter;
    if (answered && referral.state === "pending") referral.state = "accepted";
  }

  /**
   * Whether this message is its recipient's acceptance and stands.
   * @param {import("./case.js").CaseEvent} event @returns {boolean}
   */
  accepts(event) {
    const referral = this.of(event);
    if (!referral || !accepting(event) || referral.recipient !== event.emitter) return false;
    return referral.state === "accepted" && !referral.void;
  }

  /**
   * What this message ends, and what it leaves it as; null if nothing.
   * @param {import("./case.js").CaseEvent} event
   * @returns {{referral: Referral, to: "declined" | "ended"} | null}
   */
  ending(event) {
    const referral = this.of(event);
    if (!referral) return null;
    const declining =
      event.type === "ReferralDeclined" ||
      (event.type === "TransferAnswered" && event.facts.outcome === "declined");
    if (declining) {
      const may = referral.state === "pending" && referral.recipient === event.emitter;
      return may ? { referral, to: "declined" } : null;
    }
    if (event.type !== "ReferralEnded") return null;
    const open = referral.state === "pending" || referral.state === "accepted";
    const party = [referral.sender, referral.recipient].includes(event.emitter);
    return open && (party || event.role === "hub") ? { referral, to: "ended" } : null;
  }

  /** Agencies an accepted one involves. @returns {string[]} */
  involving() {
    return this.all()
      .filter((one) => one.state === "accepted" && !one.void)
      .map((one) => one.recipient);
  }

  /** @param {string} agency @returns {boolean} */
  pendingFor(agency) {
    return this.all().some((one) => one.state === "pending" && one.recipient === agency);
  }

  /** 2.4: who leaves loses what it accepted, and pending ones end. @param {string} agency */
  leave(agency) {
    for (const one of this.all()) {
      if (one.recipient !== agency) continue;
      if (one.state === "pending") one.state = "ended";
      one.void = true;
    }
  }

  /** @returns {Referral[]} */
  all() {
    return [...this.latest.values()];
  }
}

/** @param {import("./case.js").CaseEvent} event @returns {boolean} */
function accepting({ type, facts }) {
  if (type === "ReferralAccepted") return true;
  return type === "TransferAnswered" && facts.outcome === "accepted";
}
