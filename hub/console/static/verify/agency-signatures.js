/** Step 8: each event was said by its agency, signed with a key valid where it was recorded. */

import { singleReader } from "./avro.js";
import { fromHex, hex, same } from "./bytes.js";
import { BATCH, verifyTyped } from "./ed25519.js";
import { place } from "./manifest.js";
import { included, leafHash } from "./merkle.js";
import { must, Refusal } from "./refusal.js";
import { sha256 } from "./sha256.js";
import { WIRE } from "./store-schemas.js";

/** @typedef {{row: import("./rows.js").Row, header: any, head: any}} Statement */

/** @param {keyof typeof WIRE} name @returns {(data: Uint8Array) => any} */
export function wireReader(name) {
  const { prefix, schema } = WIRE[name];
  return singleReader(fromHex(prefix) ?? new Uint8Array(), schema);
}

/**
 * @param {import("./rows.js").Row[]} rows @param {import("./register.js").Register} register
 * @param {string} origin @returns {Promise<Map<number, Statement>>} events by position
 */
export async function checkSignatures(rows, register, origin) {
  const readers = { header: wireReader("Header"), head: wireReader("BatchHead") };
  const statements = new Map();
  const said = new Set();
  for (const row of rows) {
    if (row.topic !== "nrm.Case.EventAccepted") continue;
    const where = place(row.position);
    let statement;
    try {
      const header = readers.header(row.value.header);
      statement = { row, header, head: readers.head(row.value.head) };
    } catch {
      throw new Refusal("bad_evidence", where);
    }
    await checkStatement(statement, register, origin, where);
    const one = `${hex(row.value.event_id)} ${row.value.emitter}`;
    must(!said.has(one), "bad_evidence", where);
    said.add(one);
    statements.set(row.position, statement);
  }
  return statements;
}

/**
 * @param {Statement} statement @param {import("./register.js").Register} register
 * @param {string} origin @param {string} where
 */
async function checkStatement({ row, header, head }, register, origin, where) {
  const { value, position } = row;
  const one =
    same(header.event_id, value.event_id) &&
    header.event_type === value.event_type &&
    same(header.schema, value.schema_id) &&
    header.occurred_at === value.occurred_at &&
    header.agency === value.emitter &&
    head.agency === value.emitter &&
    head.audience === origin &&
    same(await sha256(value.header), value.digest);
  must(one, "bad_evidence", where);
  const numbers = Number.isSafeInteger(value.index) && Number.isSafeInteger(head.size);
  const leaf = await leafHash(value.header);
  const batched =
    numbers && (await included(leaf, value.index, head.size, value.path, head.root));
  must(batched, "bad_evidence", where);
  const agency = register.agencies.get(value.emitter);
  const key = register.key(value.emitter, head.key_id, position);
  must(agency && key, "unknown_key", where);
  const signed = await verifyTyped(key, BATCH, value.head, value.signature);
  must(signed, "bad_agency_signature", where);
  must(agency.role === value.role, "bad_evidence", where);
}
