/**
 * Avro's binary encoding, read strictly: only the one proper encoding of a value is accepted.
 *
 * Shortest numbers, arrays and maps in one block, no key twice, indexes in range, nothing left over.
 * So reading and writing again would give the same bytes. Numbers beyond 2⁵³ come out as BigInt,
 * bytes and fixed as Uint8Array, enums as their symbol, maps as Map, instants as microseconds.
 */

import { same, text } from "./bytes.js";

export const MOST_ITEMS = 2_000_000;

export class AvroError extends Error {}

/** @typedef {(input: Input) => any} Read */

class Input {
  /** @param {Uint8Array} data @param {number} items most items of all arrays and maps */
  constructor(data, items) {
    this.data = data;
    this.at = 0;
    this.items = items;
  }

  /** @returns {number} */
  byte() {
    if (this.at >= this.data.length) throw new AvroError("truncated");
    this.at += 1;
    return this.data[this.at - 1];
  }

  /** @param {number} size @returns {Uint8Array} */
  take(size) {
    if (!(size >= 0) || this.data.length - this.at < size) throw new AvroError("truncated");
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }

  /** A zig-zag number in its shortest form. @returns {number | bigint} */
  long() {
    let [raw, shift] = [0n, 0n];
    for (;;) {
      const byte = this.byte();
      if (byte === 0 && shift > 0n) throw new AvroError("an over-long number");
      raw |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) break;
      if (shift >= 70n) throw new AvroError("an over-long number");
    }
    if (raw >= 1n << 64n) throw new AvroError("a number of more than 64 bits");
    const value = (raw >> 1n) ^ -(raw & 1n);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /** @returns {number} */
  count() {
    const value = this.long();
    if (typeof value !== "number" || value < 0) throw new AvroError("a length out of range");
    return value;
  }
}

const EARLIEST = -62_135_596_800_000_000n; // year 1
const LATEST = 253_402_300_799_999_999n; // end of year 9999

/** @type {Record<string, Read>} */
const PRIMITIVES = {
  null: () => null,
  boolean(input) {
    const byte = input.byte();
    if (byte > 1) throw new AvroError("not a boolean");
    return byte === 1;
  },
  int(input) {
    const value = input.long();
    if (typeof value !== "number" || (value | 0) !== value) throw new AvroError("not an int");
    return value;
  },
  long: (input) => input.long(),
  double(input) {
    const raw = input.take(8);
    return new DataView(raw.buffer, raw.byteOffset, 8).getFloat64(0, true);
  },
  bytes: (input) => input.take(input.count()),
  string(input) {
    const raw = input.take(input.count());
    try {
      return text(raw);
    } catch {
      throw new AvroError("not UTF-8");
    }
  },
};

/**
 * A reader of one schema.
 * @param {any} schema its JSON @returns {(data: Uint8Array, items?: number) => any} throws AvroError
 */
export function avroReader(schema) {
  const read = compile(schema, "", new Map());
  return (data, items = MOST_ITEMS) => {
    const input = new Input(data, items);
    const value = read(input);
    if (input.at !== data.length) throw new AvroError("bytes are left over");
    return value;
  };
}

/**
 * A reader of single-object encodings of one schema.
 * @param {Uint8Array} prefix C3 01 and the fingerprint @param {any} schema
 * @returns {(data: Uint8Array) => any}
 */
export function singleReader(prefix, schema) {
  const read = avroReader(schema);
  return (data) => {
    if (!same(data.subarray(0, 10), prefix)) throw new AvroError("another format or version");
    return read(data.subarray(10));
  };
}

/**
 * @param {any} schema @param {string} space the namespace around it
 * @param {Map<string, Read>} known named types @returns {Read}
 */
function compile(schema, space, known) {
  if (Array.isArray(schema)) return union(schema.map((one) => compile(one, space, known)));
  if (typeof schema === "string") {
    const read = Object.hasOwn(PRIMITIVES, schema) ? PRIMITIVES[schema] : null;
    const named = read ?? known.get(fullName(schema, space));
    if (!named) throw new AvroError("a type that is not defined");
    return named;
  }
  if (schema?.type === "array") return array(compile(schema.items, space, known));
  if (schema?.type === "map") return map(compile(schema.values, space, known));
  if (["record", "enum", "fixed"].includes(schema?.type)) return named(schema, space, known);
  if (schema?.logicalType === "timestamp-micros" && schema.type === "long") return instant;
  return compile(schema.type, space, known);
}

/** @param {any} schema @param {string} space @param {Map<string, Read>} known @returns {Read} */
function named(schema, space, known) {
  const name = fullName(schema.name, schema.namespace ?? space);
  const inside = name.slice(0, Math.max(name.lastIndexOf("."), 0));
  if (known.has(name)) throw new AvroError("a type defined twice");
  known.set(name, () => {
    throw new AvroError("a type within itself");
  });
  /** @type {Read} */
  let read;
  if (schema.type === "record") {
    const fields = schema.fields.map((/** @type {any} */ field) => [
      field.name,
      compile(field.type, inside, known),
    ]);
    read = (input) => {
      const value = Object.create(null);
      for (const [field, one] of fields) value[field] = one(input);
      return value;
    };
  } else if (schema.type === "enum") {
    read = (input) => {
      const at = input.count();
      if (at >= schema.symbols.length) throw new AvroError("no such symbol");
      return schema.symbols[at];
    };
  } else {
    read = (input) => input.take(schema.size);
  }
  known.set(name, read);
  return read;
}

/** @param {string} name @param {string} space @returns {string} */
function fullName(name, space) {
  return name.includes(".") || !space ? name : `${space}.${name}`;
}

/** @param {Input} input @returns {number | bigint} */
function instant(input) {
  const value = input.long();
  if (BigInt(value) < EARLIEST || BigInt(value) > LATEST) throw new AvroError("not a time");
  return value;
}

/** @param {Read[]} branches @returns {Read} */
function union(branches) {
  return (input) => {
    const at = input.count();
    if (at >= branches.length) throw new AvroError("no such branch of a union");
    return branches[at](input);
  };
}

/**
 * One block of items, or none.
 * @param {Input} input @param {() => void} item
 */
function block(input, item) {
  const count = input.count();
  if (count === 0) return;
  input.items -= count;
  if (input.items < 0) throw new AvroError("too many items");
  for (let at = 0; at < count; at += 1) item();
  if (input.byte() !== 0) throw new AvroError("items in several blocks");
}

/** @param {Read} item @returns {Read} */
function array(item) {
  return (input) => {
    /** @type {any[]} */
    const all = [];
    block(input, () => all.push(item(input)));
    return all;
  };
}

/** @param {Read} value @returns {Read} */
function map(value) {
  return (input) => {
    const all = new Map();
    block(input, () => {
      const key = PRIMITIVES.string(input);
      if (all.has(key)) throw new AvroError("a key twice");
      all.set(key, value(input));
    });
    return all;
  };
}
