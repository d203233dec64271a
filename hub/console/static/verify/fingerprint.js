/** CRC-64-AVRO of a schema's Parsing Canonical Form (Avro specification): a name, no proof. */

import { utf8 } from "./bytes.js";

const EMPTY = 0xc15d213aa4d7a795n;
const PRIMITIVES = "null boolean int long float double bytes string".split(" ");
const KEPT = ["name", "type", "fields", "symbols", "items", "values", "size"];

const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let left = BigInt(byte);
  for (let bit = 0; bit < 8; bit += 1) left = left & 1n ? (left >> 1n) ^ EMPTY : left >> 1n;
  return left;
});

/**
 * As it stands on the wire, in hexadecimal.
 * @param {any} schema its JSON @returns {string}
 */
export function fingerprint(schema) {
  let left = EMPTY;
  for (const byte of utf8(canonical(schema, ""))) {
    left = (left >> 8n) ^ TABLE[Number((left ^ BigInt(byte)) & 0xffn)];
  }
  return left.toString(16).padStart(16, "0").match(/../g)?.reverse().join("") ?? "";
}

/** @param {any} schema @param {string} space @returns {string} */
function canonical(schema, space) {
  if (typeof schema === "string") {
    const full = PRIMITIVES.includes(schema) || schema.includes(".") || !space;
    return JSON.stringify(full ? schema : `${space}.${schema}`);
  }
  if (Array.isArray(schema)) return `[${schema.map((one) => canonical(one, space)).join(",")}]`;
  const { type } = schema;
  if (!["record", "enum", "fixed", "array", "map"].includes(type)) return canonical(type, space);
  const around = schema.namespace ?? space;
  const name = schema.name?.includes(".") || !around ? schema.name : `${around}.${schema.name}`;
  const inside = name === undefined ? space : name.slice(0, Math.max(name.lastIndexOf("."), 0));
  /** @type {Record<string, () => string>} */
  const members = {
    name: () => JSON.stringify(name),
    type: () => JSON.stringify(type),
    fields: () => `[${schema.fields.map((/** @type {any} */ one) => field(one, inside)).join(",")}]`,
    symbols: () => JSON.stringify(schema.symbols),
    items: () => canonical(schema.items, inside),
    values: () => canonical(schema.values, inside),
    size: () => String(schema.size),
  };
  const kept = KEPT.filter((one) => one in schema);
  return `{${kept.map((one) => `"${one}":${members[one]()}`).join(",")}}`;
}

/** @param {any} one @param {string} space @returns {string} */
function field(one, space) {
  return `{"name":${JSON.stringify(one.name)},"type":${canonical(one.type, space)}}`;
}
