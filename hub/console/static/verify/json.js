/**
 * JSON, read strictly: no name twice, bounded depth, and nothing a browser would forgive.
 *
 * The text is read by the platform's parser; a walk over it first refuses what that parser lets
 * pass or what could exhaust it.
 */

import { text } from "./bytes.js";

const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
/** A number that is an integer, for those who take no other. */
export const INTEGER = /(?:true|false|null|-?(?:0|[1-9][0-9]*)(?![.eE0-9]))/y;
const SIMPLE = /(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)/y;
const SPACE = /[ \t\n\r]*/y;

/**
 * The value of UTF-8 JSON. Objects have no prototype's names but their own.
 * @param {Uint8Array} data @param {number} deepest most levels of objects and lists
 * @param {RegExp} simple what may stand there besides texts, objects and lists
 * @returns {any} throws SyntaxError or TypeError
 */
export function readJson(data, deepest = 8, simple = SIMPLE) {
  const source = text(data);
  new Walk(source, deepest, simple).whole();
  return JSON.parse(source);
}

class Walk {
  /** @param {string} source @param {number} deepest @param {RegExp} simple */
  constructor(source, deepest, simple) {
    this.simple = simple;
    this.source = source;
    this.deepest = deepest;
    this.at = 0;
  }

  whole() {
    this.value(0);
    this.skip(SPACE);
    if (this.at !== this.source.length) throw new SyntaxError("more than one JSON value");
  }

  /** @param {number} depth */
  value(depth) {
    this.skip(SPACE);
    const sign = this.source[this.at];
    if (sign === "{") this.object(depth + 1);
    else if (sign === "[") this.list(depth + 1);
    else if (!this.skip(sign === '"' ? STRING : this.simple)) throw new SyntaxError("not JSON");
  }

  /** @param {number} depth */
  object(depth) {
    this.enter(depth);
    const names = new Set();
    if (this.sign("}")) return;
    do {
      this.skip(SPACE);
      const from = this.at;
      if (!this.skip(STRING)) throw new SyntaxError("a name is missing");
      const name = JSON.parse(this.source.slice(from, this.at));
      if (names.has(name) || name === "__proto__") throw new SyntaxError("a name twice");
      names.add(name);
      if (!this.sign(":")) throw new SyntaxError("a colon is missing");
      this.value(depth);
    } while (this.sign(","));
    if (!this.sign("}")) throw new SyntaxError("an object does not end");
  }

  /** @param {number} depth */
  list(depth) {
    this.enter(depth);
    if (this.sign("]")) return;
    do this.value(depth);
    while (this.sign(","));
    if (!this.sign("]")) throw new SyntaxError("a list does not end");
  }

  /** @param {number} depth */
  enter(depth) {
    if (depth > this.deepest) throw new SyntaxError("too deep");
    this.at += 1;
  }

  /** @param {string} wanted @returns {boolean} */
  sign(wanted) {
    this.skip(SPACE);
    if (this.source[this.at] !== wanted) return false;
    this.at += 1;
    return true;
  }

  /** @param {RegExp} pattern sticky @returns {boolean} */
  skip(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.test(this.source);
    if (found) this.at = pattern.lastIndex;
    return found;
  }
}
