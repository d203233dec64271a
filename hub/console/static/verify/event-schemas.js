/**
 * Event schemas as they came with the bundle: each is the text whose SHA-256 is its name. Decisions
 * read a type's group and a field's category from them.
 */

import { hex } from "./bytes.js";
import { readJson } from "./json.js";
import { place } from "./manifest.js";
import { must, Refusal } from "./refusal.js";
import { sha256 } from "./sha256.js";

const FOLDER = "schemas/event/";
const DEEPEST = 32;

export class EventSchemas {
  constructor() {
    /** @type {Map<string, string>} id → type */
    this.types = new Map();
    /** @type {Map<string, string>} id → group */
    this.groups = new Map();
    /** @type {Map<string, string>} "<id or type> <field>" → category */
    this.categories = new Map();
  }

  /** @param {import("./manifest.js").Members} members @returns {Promise<EventSchemas>} */
  static async read(members) {
    const schemas = new EventSchemas();
    for (const [name, { data }] of members) {
      if (!name.startsWith(FOLDER)) continue;
      const id = name.slice(FOLDER.length);
      must(hex(await sha256(data)) === id, "unknown_schema", id.slice(0, 16));
      try {
        schemas.take(id, readJson(data, DEEPEST));
      } catch {
        throw new Refusal("unknown_schema", id.slice(0, 16));
      }
    }
    return schemas;
  }

  /** @param {string} id @param {any} schema */
  take(id, schema) {
    if (typeof schema.name !== "string" || typeof schema.group !== "string") throw new TypeError();
    this.types.set(id, schema.name);
    this.groups.set(id, schema.group);
    for (const { name, category } of schema.fields) {
      const told = category ?? "unreleasable";
      this.categories.set(`${id} ${name}`, told).set(`${schema.name} ${name}`, told);
    }
  }

  /** The schema an event was signed under is here. @param {import("./rows.js").Row} row */
  require({ value, position }) {
    const type = this.types.get(hex(value.schema_id));
    must(type === value.event_type, "unknown_schema", place(position));
  }

  /**
   * Of the schema the event was signed under: no other can speak for it.
   * @type {import("./case.js").GroupOf}
   */
  groupOf = ({ schema = "" }) => this.groups.get(schema) ?? "";

  /**
   * By the event's own schema; of a field added since, by another one of its type.
   * @type {import("./case.js").FieldCategory}
   */
  fieldCategory = ({ type, schema }, field) =>
    this.categories.get(`${schema} ${field}`) ?? this.categories.get(`${type} ${field}`) ?? null;
}
