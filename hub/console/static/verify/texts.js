/**
 * Everything the page says, by language. English is the measure: what a language lacks is said in
 * English. `{name}` stands for a value.
 */

/** @type {Record<string, Record<string, string>>} */
const TEXTS = {
  en: {
    kicker: "NRM Hub · Evidence",
    title: "Check an evidence bundle",
    lead:
      "A bundle shows what a hub recorded: who said what, who was told, on which basis, and who " +
      "signed for it. This page checks it here, on your machine.",
    lead_private: "Nothing leaves this page.",
    part_file: "The file",
    file_choose: "Choose a bundle",
    file_drop: "or drop it here",
    file_limit: "a .zip file of at most 256 MiB",
    file_size: "{bytes} bytes",
    part_trust: "Whom you trust",
    ask_key: "The log's key",
    ask_key_hint:
      "One line. Ask the hub's operator or your supervisory body, not whoever gave you the file. " +
      "Left empty, the key inside the file is used.",
    ask_more: "Witnesses, and a checkpoint you kept",
    ask_witnesses: "Keys of witnesses, one a line",
    ask_quorum: "How many of them must have cosigned",
    ask_earlier: "An earlier checkpoint of this hub, whole",
    ask_keep: "Keep the keys in this browser",
    ask_check: "Check the bundle",
    steps: "Step by step",
    path: "A row's way to the signed root",
    foot:
      "The same steps and codes as the program nrm-verify, written apart from it: what matters is " +
      "checked with both. docs/evidence.md tells the steps in full.",

    step_1: "Form",
    step_2: "Manifest",
    step_3: "Checkpoint",
    step_4: "History",
    step_5: "Inclusion",
    step_6: "Rows",
    step_7: "Register and policy",
    step_8: "Agency signatures",
    step_9: "Commitments",
    step_10: "Decisions",
    step_11: "Deliveries",
    step_12: "Receipts",
    step_13: "Claims",
    step_14: "Statement of absence",

    state_holds: "holds",
    state_fails: "fails",
    state_empty: "nothing to check",
    state_not_reached: "not reached",

    told_form: "{members} members, {bytes} bytes; every byte stands where it must.",
    told_manifest: "It lists exactly what is in the file; {rows} rows of the log.",
    told_checkpoint:
      "Log “{origin}” with {size} rows, signed by the key you gave; known witnesses: {cosigned}.",
    told_checkpoint_inside:
      "Log “{origin}” with {size} rows, signed by the key inside the file; known witnesses: {cosigned}.",
    told_history: "What the log held at {size} rows was not rewritten since.",
    told_history_none: "No earlier checkpoint was given or enclosed.",
    told_history_open:
      "This file cannot prove what became of your checkpoint of {size} rows; ask for the bundle " +
      "again with that checkpoint.",
    told_inclusion: "Each of {rows} rows stands in the tree of {size} that the checkpoint signs.",
    told_rows: "{rows} rows decode, streams have no gap, and hub “{hub}” signed the manifest.",
    told_register: "Agencies with roles, keys and agreements: {agencies}; policy profiles: {profiles}.",
    told_signatures: "{count} events, each signed by its agency with a key valid there.",
    told_signatures_none: "No events in this file.",
    told_commitments: "{count} events, sealed as committed to; {content} parts opened.",
    told_commitments_none: "No events in this file.",
    told_decisions: "{count} events decided again, {pairs} answers: all as recorded.",
    told_decisions_none: "No decisions in this file.",
    told_deliveries: "{count} deliveries, each what was owed.",
    told_deliveries_none: "No deliveries in this file.",
    told_receipts: "{count} receipts, signed by their agencies.",
    told_receipts_none: "No receipts in this file.",
    told_claims: "The manifest claims what the rows say, and no more.",
    told_statement: "The hub's signed word about {agency} agrees with every row.",
    told_no_statement: "This file is no statement of absence.",
    not_reached: "",

    verdict_waiting: "No file checked yet.",
    verdict_checking: "Checking: step {number} of 14, {name}.",
    verdict_ok: "Verifies",
    verdict_ok_told: "Every step holds, under the key you gave for log “{origin}”.",
    verdict_inside: "Agrees with itself",
    verdict_inside_told:
      "Every step holds, under the key inside the file. Anybody can make such a file: compare the " +
      "key below with the one the hub's operator or your supervisory body has.",
    verdict_no: "Does not verify",
    verdict_no_told: "Step {number} of 14, {name}, fails: {meaning}",
    verdict_where: "Found at: {where}.",
    verdict_codes: "Reason code {code}, exit code {exit}.",
    verdict_stopped: "Not checked",

    do_3: "This is no evidence bundle, or larger than one may be. Ask for the file again.",
    do_4: "The file is not as it was made. Ask for it again, by another way.",
    do_5: "Keep the file. Ask the hub, and whose signature it is.",
    do_6: "Keep the file, and tell the supervisory body.",
    do_7:
      "The rows are genuine, and something in them is not what the rules give. Keep the file, and " +
      "tell the supervisory body.",
    do_8: "The file was made by a newer version. Get the verifier of that version.",
    do_9: "Compare the key you gave with the operator's.",
    do_10: "Two histories of one log were signed. Keep both files, and tell the supervisory body.",

    not_a_bundle: "It does not begin as a bundle does.",
    too_large: "More bytes, or more work, than a file may have.",
    too_many_members: "More members than a file may have.",
    bad_name: "A member's name is not one a bundle has.",
    bad_order: "Members are not in their order, or one comes twice.",
    not_stored: "A member is compressed, encrypted, or has its length behind it.",
    truncated: "The file ends too early.",
    not_canonical: "A byte outside the members is not what it must be.",
    bad_checksum: "A member's checksum is another.",
    bad_manifest: "The manifest does not decode, or lacks something.",
    newer_version: "Something in it is newer than this verifier.",
    member_missing: "A member that must be there is not.",
    member_unlisted: "Members and manifest name different things.",
    member_differs: "A member has not the digest the manifest lists.",
    bad_checkpoint: "A checkpoint is not a signed note of this log, or has another size.",
    wrong_log: "It is of another log, or not signed by the key you gave.",
    bad_log_signature: "The log's signature, or a known witness's, does not hold.",
    few_witnesses: "Fewer known witnesses have cosigned than you asked for.",
    fork: "Two signed checkpoints of one log that no history has both of.",
    bad_paths: "The list of paths does not fit the rows.",
    not_in_log: "A row is not in the checkpoint's tree.",
    bad_row: "A row does not decode, or is not what the manifest says it is.",
    gap_in_stream: "A version of a stream is missing, or there twice.",
    wrong_hub: "The log's first row is of another hub.",
    bad_hub_signature: "The manifest or statement is not signed by this hub.",
    register_incomplete: "A decision rests on a change of the register, or a profile, not here.",
    bad_evidence: "What an agency signed does not decode, or is of another event than the row.",
    unknown_key: "The register has no such key of this agency, or it was not valid there.",
    bad_agency_signature: "An agency's signature does not hold.",
    bad_commitment: "The commitments are not those signed.",
    not_disclosed: "Opened content is not the part committed to.",
    not_held: "Content that the holder was not sent, or no longer holds.",
    unknown_schema: "The schema of an event is not here, or is not its id's.",
    decision_differs: "Deciding again gives something else than was recorded.",
    delivery_differs: "A delivery is not what was owed, or is missing though later ones were made.",
    gap_in_deliveries: "A delivery log does not count from 1 without a gap.",
    bad_receipt: "A receipt does not decode, or its signature does not hold.",
    receipt_differs: "A receipt is for another agency or hub, or for deliveries never made.",
    claims_differ: "The manifest claims something else than its rows say.",
    bad_statement: "The statement does not decode, or is about something else than the file.",
    not_absent: "The statement says nothing was shared, and a row says it was.",

    too_large_here: "The file has more than 256 MiB, so it is no bundle. It was not opened.",
    no_ed25519:
      "This browser cannot check Ed25519 signatures. Use a current Chromium, Firefox or Safari, or " +
      "the program nrm-verify.",
    unreadable: "The file cannot be read. Choose it again.",
    no_file: "Choose a bundle first.",
    wrong_log_key: "The log key is not one. It is one line, such as nrm-hub+8b9a24c1+AQ…",
    wrong_witness: "Line {line} of the witness keys is not a key.",
    wrong_quorum: "Fewer witness keys than witnesses you ask for.",
    wrong_earlier: "The earlier checkpoint is not one. Paste the whole text with its signatures.",

    claim_said: "Who said what",
    claim_told: "Who was told what, and why",
    claim_sent: "What was sent, and signed for",
    claim_opened: "What was opened",
    claim_absent: "What the hub declares",
    col_position: "Row",
    col_when: "Recorded (UTC)",
    col_event: "Event",
    col_by: "Said by",
    col_to: "Told",
    col_category: "Category",
    col_basis: "On the basis",
    col_again: "Again",
    col_sequence: "No.",
    col_kind: "What",
    col_receipt: "Signed for",
    col_key: "Signed with key",
    col_part: "Part",
    col_size: "Bytes",
    same: "the same",
    withheld_count: "{count} other answers: withheld, decided again the same.",
    nobody: "nobody",
    receipt_at: "row {position}",
    receipt_none: "not in this file",
    release: "release",
    recall: "recall",
    shown_all: "Lines: {all}.",
    caught_up: "(caught up, row {since})",
    shown_first: "The first {shown} of {all} are shown.",
    absent:
      "Nothing of case {case} was released to {agency} ({categories}) in the log's first {asOf} rows.",
    all_categories: "all categories",

    cannot: "What this file cannot prove",
    cannot_rows: "That nothing was recorded after row {asOf}, or that streams do not go on.",
    cannot_facts:
      "That an event's plain facts, its case and its categories are what its agency committed to, where " +
      "the part is not opened here. The hub read them; the agency's own copy would tell.",
    cannot_submitted: "What was never submitted, what agencies did with it, or that it is true.",
    cannot_who: "Who a case or person is: ids are the hub's pseudonyms.",
    cannot_officers: "That officers signed the policy profiles; the hub's own check does that.",
    cannot_ages:
      "Ages of {count} decisions: they rest on sealed dates of birth and are taken as recorded.",
    cannot_decisions: "The decisions themselves: a bundle for a holder has no row that shows them.",
    cannot_key: "That this is the log you mean: no key was given, so the one inside was used.",
    cannot_rewritten: "That the log was not rewritten before: no earlier checkpoint was compared.",
    cannot_outside: "That nothing was shared outside the log.",

    keys: "Keys it rests on",
    key_log: "Log (checkpoints)",
    key_hub: "Hub (manifest)",
    key_witness: "Witness",

    path_lead:
      "The row's hash, joined with each sibling in turn, gives the root that the checkpoint signs.",
    path_pick: "Row",
    path_alt:
      "Row {position} is leaf {index} of {size}. {steps} joins with siblings lead to the signed root.",
    path_row: "row {position}",
    path_root: "root, signed",
    path_text: "The same in words",
    path_join_left: "joined with {sibling} on its left: {hash}",
    path_join_right: "joined with {sibling} on its right: {hash}",
    path_leaf: "leaf: {hash}",
  },
};

let language = "en";

/** @param {string[]} wanted languages in order of liking, as the browser names them */
export function chooseLanguage(wanted) {
  const known = wanted.map((one) => one.slice(0, 2).toLowerCase());
  language = known.find((one) => Object.hasOwn(TEXTS, one)) ?? "en";
  return language;
}

/**
 * @param {string} key @param {Record<string, any>} [values] @returns {string}
 */
export function say(key, values = {}) {
  const pattern = TEXTS[language][key] ?? TEXTS.en[key] ?? key;
  return pattern.replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
}

/** @param {string} key @returns {boolean} */
export function knows(key) {
  return Object.hasOwn(TEXTS.en, key);
}

/** @param {any} value @returns {string} */
function shown(value) {
  return typeof value === "number" ? value.toLocaleString(language) : String(value ?? "");
}
