/**
 * The steps of docs/evidence.md 5 in their order; the first failure ends it.
 *
 * `verify` never throws: whatever is wrong with a file is a verdict with step, reason code and exit
 * code, the same that `nrm-verify` gives.
 */

import { checkSignatures } from "./agency-signatures.js";
import { checkClaims } from "./claims.js";
import { checkCommitments, checkContent } from "./commitments.js";
import { checkDecisions } from "./decisions.js";
import { checkDeliveries } from "./deliveries.js";
import { checkHead, checkHistory } from "./history.js";
import { readManifest } from "./manifest.js";
import { checkReceipts } from "./receipts.js";
import { Refusal } from "./refusal.js";
import { readRegister } from "./register.js";
import { checkInclusion, checkRows, readRows } from "./rows.js";
import { checkStatement } from "./statement.js";
import { readZip } from "./zip.js";

/**
 * What the steps found so far; a failure leaves the later ones empty.
 * @typedef {{
 *   size: number, members?: import("./manifest.js").Members,
 *   manifest?: import("./manifest.js").Manifest, head?: import("./history.js").Head,
 *   history?: Awaited<ReturnType<typeof checkHistory>>,
 *   ways?: Map<number, import("./rows.js").Climb>, rows?: import("./rows.js").Row[],
 *   hubKey?: Uint8Array, register?: import("./register.js").Register,
 *   statements?: Map<number, import("./agency-signatures.js").Statement>,
 *   content?: import("./commitments.js").Content[],
 *   decided?: import("./decisions.js").Decided[],
 *   schemas?: import("./event-schemas.js").EventSchemas,
 *   deliveries?: import("./deliveries.js").Sent[],
 *   receipts?: import("./receipts.js").Receipt[], absence?: import("./statement.js").Absence
 * }} Found
 *
 * state: "holds", "fails", "empty" (the file has nothing of it) or "not_reached". told: what was
 * checked, a key of texts.js and its values.
 * @typedef {{number: number, state: string, told: [string, Record<string, any>]}} Step
 *
 * @typedef {{
 *   verifies: boolean, exit: number, step: number, code: string, where: string,
 *   steps: Step[], found: Found
 * }} Verdict
 */

/** Reason code of a step that meets what no other code fits. */
const OTHERWISE = [
  "",
  "not_a_bundle",
  "bad_manifest",
  "bad_checkpoint",
  "bad_checkpoint",
  "bad_paths",
  "bad_row",
  "register_incomplete",
  "bad_evidence",
  "bad_commitment",
  "decision_differs",
  "delivery_differs",
  "bad_receipt",
  "claims_differ",
  "bad_statement",
];

export const STEPS = 14;

/**
 * @param {Uint8Array} file
 * @param {import("./history.js").Trust} trust what was given from outside
 * @param {(step: Step) => void | Promise<void>} [onStep] called as each step ends
 * @returns {Promise<Verdict>}
 */
export async function verify(file, trust, onStep = () => {}) {
  /** @type {Found} */
  const found = { size: file.length };
  /** @type {Step[]} */
  const steps = [];
  for (let number = 1; number <= STEPS; number += 1) {
    try {
      const [state, key, values] = await RUN[number](file, trust, found);
      steps.push({ number, state, told: [key, values] });
      await onStep(steps[number - 1]);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(OTHERWISE[number]);
      const { exit, code, where } = refusal;
      const step = refusal.step || number;
      steps.length = step - 1;
      steps.push({ number: step, state: "fails", told: [code, { where }] });
      await onStep(steps[step - 1]);
      for (let left = step + 1; left <= STEPS; left += 1) {
        steps.push({ number: left, state: "not_reached", told: ["not_reached", {}] });
      }
      return { verifies: false, exit, step, code, where, steps, found };
    }
  }
  return { verifies: true, exit: 0, step: 0, code: "", where: "", steps, found };
}

/**
 * @typedef {[string, string, Record<string, any>]} Done state, key of the text, its values
 * @type {Record<number, (file: Uint8Array, trust: import("./history.js").Trust, found: any) =>
 *   Promise<Done>>}
 */
const RUN = {
  async 1(file, _trust, found) {
    found.members = readZip(file);
    return ["holds", "told_form", { members: found.members.size, bytes: file.length }];
  },
  async 2(_file, _trust, found) {
    found.manifest = await readManifest(found.members);
    return ["holds", "told_manifest", { rows: found.manifest.rows.size }];
  },
  async 3(_file, trust, found) {
    const head = await checkHead(found.members, found.manifest, trust);
    found.head = head;
    const key = head.given ? "told_checkpoint" : "told_checkpoint_inside";
    return ["holds", key, { origin: head.origin, size: head.size, cosigned: head.cosigned.length }];
  },
  async 4(_file, trust, found) {
    const history = await checkHistory(found.members, found.head, trust);
    found.history = history;
    if (history.outside === "not_provable") {
      return ["empty", "told_history_open", { size: history.size }];
    }
    const size = history.outside === "proved" ? history.size : history.shown;
    return size ? ["holds", "told_history", { size }] : ["empty", "told_history_none", {}];
  },
  async 5(_file, _trust, found) {
    found.ways = await checkInclusion(found.members, found.manifest, found.head);
    return ["holds", "told_inclusion", { rows: found.ways.size, size: found.head.size }];
  },
  async 6(_file, _trust, found) {
    const rows = readRows(found.members, found.manifest);
    found.hubKey = await checkRows(found.members, rows, found.manifest);
    found.rows = rows;
    return ["holds", "told_rows", { rows: rows.length, hub: found.manifest.origin }];
  },
  async 7(_file, _trust, found) {
    const register = readRegister(found.rows);
    found.register = register;
    const counted = { agencies: register.agencies.size, profiles: register.profiles.length };
    return ["holds", "told_register", counted];
  },
  async 8(_file, _trust, found) {
    const { rows, register, manifest } = found;
    found.statements = await checkSignatures(rows, register, manifest.origin);
    return counted("told_signatures", found.statements.size);
  },
  async 9(_file, _trust, found) {
    await checkCommitments(found.statements);
    const { members, manifest, statements, rows } = found;
    found.content = await checkContent(members, manifest, statements, rows);
    return counted("told_commitments", statements.size, { content: found.content.length });
  },
  async 10(_file, _trust, found) {
    const { decided, schemas } = await checkDecisions(found.members, found.rows, found.register);
    [found.decided, found.schemas] = [decided, schemas];
    const pairs = found.decided.reduce(
      (/** @type {number} */ sum, /** @type {any} */ one) => sum + one.lines.length + one.withheld,
      0,
    );
    return counted("told_decisions", found.decided.length, { pairs });
  },
  async 11(_file, _trust, found) {
    found.deliveries = checkDeliveries(found);
    return counted("told_deliveries", found.deliveries.length);
  },
  async 12(_file, _trust, found) {
    const { rows, register, manifest } = found;
    found.receipts = await checkReceipts(rows, register, manifest);
    return counted("told_receipts", found.receipts.length);
  },
  async 13(_file, _trust, found) {
    checkClaims(found);
    return ["holds", "told_claims", {}];
  },
  async 14(_file, _trust, found) {
    if (found.manifest.kind !== "absence") return ["empty", "told_no_statement", {}];
    found.absence = await checkStatement(found);
    return ["holds", "told_statement", { agency: found.absence.agency }];
  },
};

/**
 * @param {string} key @param {number} count @param {Record<string, any>} [more] @returns {Done}
 */
function counted(key, count, more = {}) {
  return count ? ["holds", key, { count, ...more }] : ["empty", `${key}_none`, {}];
}
