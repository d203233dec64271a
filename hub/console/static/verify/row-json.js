/**
 * JSON inside rows, read when a step first asks for it. What is no JSON, or has another shape, throws
 * there: it is that step's failure.
 */

import { readJson } from "./json.js";
import { readSettlement } from "./settlement.js";

const DEEPEST = 32;

export class RowJson {
  /** @param {any} value the decoded state of a row */
  constructor(value) {
    this.value = value;
    /** @type {Map<string, any>} */
    this.known = new Map();
  }

  /** @param {string} name @param {(read: any) => any} shaped @returns {any} */
  once(name, shaped = (read) => read) {
    if (!this.known.has(name)) {
      const read = readJson(this.value[name], DEEPEST);
      if (typeof read !== "object" || read === null || Array.isArray(read)) throw new TypeError();
      this.known.set(name, shaped(read));
    }
    return this.known.get(name);
  }

  /** Of an event. @returns {Record<string, any>} */
  get facts() {
    return this.once("facts");
  }

  /** @returns {import("./settlement.js").Settlement} */
  get settlement() {
    return this.once("settlement", readSettlement);
  }

  /** Of a policy profile. @returns {any} */
  get document() {
    return this.once("document");
  }

  /** Of what was held back: event → categories. @returns {Record<string, string[]>} */
  get heldBack() {
    return this.once("items", (read) => {
      Object.values(read).forEach(textsOf);
      return read;
    });
  }

  /** Of what was held back: event → category → basis. @returns {Record<string, any>} */
  get rebased() {
    return this.once("rebased");
  }

  /** Of a release: category → basis. @returns {Record<string, string>} */
  get bases() {
    const { bases } = this.once("items");
    textsOf(Object.values(bases));
    return bases;
  }

  /**
   * Of a recall: event and categories, each; what is to be done.
   * @returns {{items: Array<[string, string[]]>, action: string}}
   */
  get recall() {
    const { items, action } = this.once("items");
    for (const [event, names] of items) textsOf([event, ...names]);
    textsOf([action]);
    return { items, action };
  }
}

/** @param {any} list */
function textsOf(list) {
  if (!Array.isArray(list) || list.some((one) => typeof one !== "string")) throw new TypeError();
}
