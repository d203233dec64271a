/**
 * Why a bundle does not verify: a step, a reason code and the exit code of docs/evidence.md 6.
 *
 * `where` says which row or member, and never what is in it.
 */

/** @type {Record<string, number>} reason code → exit code */
export const EXITS = {
  not_a_bundle: 3,
  too_large: 3,
  too_many_members: 3,
  bad_name: 3,
  bad_order: 3,
  not_stored: 3,
  truncated: 4,
  not_canonical: 4,
  bad_checksum: 4,
  bad_manifest: 4,
  newer_version: 8,
  member_missing: 4,
  member_unlisted: 4,
  member_differs: 4,
  bad_checkpoint: 4,
  wrong_log: 9,
  bad_log_signature: 5,
  few_witnesses: 5,
  fork: 10,
  bad_paths: 4,
  not_in_log: 6,
  bad_row: 4,
  gap_in_stream: 7,
  wrong_hub: 7,
  bad_hub_signature: 5,
  register_incomplete: 7,
  bad_evidence: 4,
  unknown_key: 5,
  bad_agency_signature: 5,
  bad_commitment: 4,
  not_disclosed: 4,
  not_held: 7,
  unknown_schema: 4,
  decision_differs: 7,
  delivery_differs: 7,
  gap_in_deliveries: 7,
  bad_receipt: 5,
  receipt_differs: 7,
  claims_differ: 7,
  bad_statement: 4,
  not_absent: 7,
};

export class Refusal extends Error {
  /**
   * @param {string} code @param {string} [where]
   * @param {number} [step] if the failure belongs to an earlier step than the one that met it
   */
  constructor(code, where = "", step = 0) {
    super(where ? `${code}: ${where}` : code);
    this.step = step;
    this.code = code;
    this.where = where;
  }

  get exit() {
    return EXITS[this.code] ?? 4;
  }
}

/**
 * @param {unknown} holds @param {string} code @param {string} [where]
 * @returns {asserts holds}
 */
export function must(holds, code, where = "") {
  if (!holds) throw new Refusal(code, where);
}
