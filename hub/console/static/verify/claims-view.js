/** What a bundle shows, as tables: who said, was told, was sent and signed; what it cannot prove. */

import { hex } from "./bytes.js";
import { shownInstant } from "./dates.js";
import { element, table } from "./elements.js";
import { say } from "./texts.js";

const MOST_LINES = 500;

/** @typedef {import("./verify.js").Found} Found */

/** @param {Found} found @returns {HTMLElement[]} one section each */
export function claimsView(found) {
  const parts = [absent(found), said(found), told(found), sent(found), opened(found)];
  return parts.filter((one) => one !== null);
}

/** @param {string} title @param {Array<Node | string>} inside @returns {HTMLElement} */
function section(title, ...inside) {
  const id = `claims-${title}`;
  return element(
    "section",
    { class: "box", "aria-labelledby": id },
    element("h2", { id }, say(title)),
    ...inside,
  );
}

/** Tables grow with the file; a page shows so many lines. */
function first(/** @type {any[]} */ lines) {
  const all = lines.length;
  const many = all > MOST_LINES;
  const told = many ? say("shown_first", { shown: MOST_LINES, all }) : say("shown_all", { all });
  const note = element("p", { class: "quiet after" }, told);
  return { lines: many ? lines.slice(0, MOST_LINES) : lines, note: [note] };
}

/** @param {Found} found */
function absent({ absence }) {
  if (!absence) return null;
  const { agency, asOf, categories } = absence;
  const named = categories?.join(", ") ?? say("all_categories");
  const values = { agency, asOf, categories: named, case: absence.case };
  return section("claim_absent", element("p", {}, say("absent", values)));
}

/** @param {Found} found */
function said({ statements }) {
  if (!statements?.size) return null;
  const { lines, note } = first([...statements.values()]);
  const rows = lines.map(({ row, head }) => [
    String(row.position),
    row.value.event_type,
    whole(row.value.emitter),
    whole(shownInstant(row.value.timestamp)),
    code(`${hex(head.key_id).slice(0, 12)}…`),
  ]);
  const heads = ["col_position", "col_event", "col_by", "col_when", "col_key"].map((one) => say(one));
  return section("claim_said", table(say("claim_said"), heads, rows, [0]), ...note);
}

/** @param {Found} found */
function told({ decided }) {
  if (!decided?.length) return null;
  const { lines, note } = first(decided.flatMap(releases));
  const rows = lines.map(({ position, type, agency, category, basis, since }) => [
    String(position),
    since ? element("span", {}, type, " ", quiet(say("caught_up", { since }))) : type,
    whole(agency),
    category,
    element("span", { class: "basis" }, basis),
    element("span", { class: "tick" }, `✓ ${say("same")}`),
  ]);
  const heads = [
    "col_position", "col_event", "col_to", "col_category", "col_basis", "col_again",
  ].map((one) => say(one));
  const withheld = decided.reduce((sum, one) => sum + one.withheld, 0);
  return section(
    "claim_told",
    table(say("claim_told"), heads, rows, [0]),
    ...note,
    element("p", { class: "quiet after" }, say("withheld_count", { count: withheld })),
  );
}

/**
 * What an event led to: its own releases, then those of earlier events. since: the row that led to
 * a later release.
 * @param {import("./decisions.js").Decided} one
 */
function releases({ position, type, lines, caughtUp }) {
  const own = lines.map(({ agency, category, again }) => {
    const basis = again.replace("released: ", "");
    return { position, type, agency, category, basis, since: "" };
  });
  return [...own, ...caughtUp.map((later) => ({ ...later, since: String(position) }))];
}

/** @param {Found} found */
function sent({ deliveries, receipts = [], statements }) {
  if (!deliveries?.length) return null;
  const { lines, note } = first(deliveries);
  const rows = lines.map((one) => {
    const receipt = receipts.find(
      ({ agency, first: from, last }) =>
        agency === one.agency && from <= one.sequence && one.sequence <= last,
    );
    const about = statements?.get(one.eventPosition)?.row.value.event_type ?? "";
    return [
      whole(`${one.agency} · ${one.sequence}`),
      `${say(one.kind)}${about ? `: ${about}` : ""}`,
      element("div", { class: "long" }, whatWas(one)),
      whole(shownInstant(one.at)),
      whole(receipt ? say("receipt_at", { position: String(receipt.position) }) : say("receipt_none")),
    ];
  });
  const heads = ["col_sequence", "col_kind", "col_basis", "col_when", "col_receipt"].map((one) =>
    say(one),
  );
  return section("claim_sent", table(say("claim_sent"), heads, rows), ...note);
}

/** @param {import("./deliveries.js").Sent} one @returns {string} */
function whatWas(one) {
  if (one.kind === "release") {
    return one.bases.map(([category, basis]) => `${category} (${basis})`).join(", ");
  }
  return [...new Set(one.recalled.flatMap(([, names]) => names))].join(", ");
}

/** @param {Found} found */
function opened({ content }) {
  if (!content?.length) return null;
  const { lines, note } = first(content);
  const rows = lines.map(({ position, name, body }) => [
    String(position),
    code(name),
    String(body.length),
  ]);
  const heads = ["col_position", "col_part", "col_size"].map((one) => say(one));
  return section("claim_opened", table(say("claim_opened"), heads, rows, [0, 2]), ...note);
}

/** @param {string} text */
function quiet(text) {
  return element("span", { class: "quiet" }, text);
}

/** @param {string} text */
function whole(text) {
  return element("span", { class: "whole" }, text);
}

/** @param {string} text */
function code(text) {
  return element("code", {}, text);
}

/** What the file cannot prove, in sentences. @param {Found} found @returns {string[]} */
export function cannotProve({ manifest, head, history, decided = [] }) {
  if (!manifest || !head) return [];
  const ages = decided.filter((one) => one.ageAsRecorded).length;
  const lines = [];
  if (!head.given) lines.push(say("cannot_key"));
  if (history?.outside !== "proved") lines.push(say("cannot_rewritten"));
  lines.push(say("cannot_rows", { asOf: manifest.asOf }));
  if (manifest.holder !== null) lines.push(say("cannot_decisions"));
  if (ages) lines.push(say("cannot_ages", { count: ages }));
  lines.push(say("cannot_facts"), say("cannot_outside"), say("cannot_submitted"), say("cannot_who"));
  if (manifest.holder === null) lines.push(say("cannot_officers"));
  return lines;
}

/** Name and text of the keys a verdict rests on. @param {Found} found */
export function restsOn({ head, hubKey }) {
  /** @type {Array<[string, string]>} */
  const keys = [];
  if (head) keys.push([say("key_log"), head.written]);
  if (hubKey) keys.push([say("key_hub"), hex(hubKey)]);
  for (const name of head?.cosigned ?? []) keys.push([say("key_witness"), name]);
  return keys;
}
