/**
 * RFC 6962 trees: inclusion, consistency, and the root over given leaves.
 *
 * leaf hash = SHA-256(00 ‖ entry), node hash = SHA-256(01 ‖ left ‖ right). Indexes and sizes are
 * numbers below 2⁵³.
 */

import { concat, hex, same } from "./bytes.js";
import { sha256 } from "./sha256.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** @param {Uint8Array} entry @returns {Promise<Uint8Array>} */
export function leafHash(entry) {
  return sha256(concat(LEAF, entry));
}

/** Hashes inner nodes, each pair once: paths of one tree share most of theirs. */
export class Nodes {
  constructor() {
    /** @type {Map<string, Promise<Uint8Array>>} */
    this.known = new Map();
  }

  /** @param {Uint8Array} left @param {Uint8Array} right @returns {Promise<Uint8Array>} */
  hash(left, right) {
    const key = hex(left) + hex(right);
    const known = this.known.get(key);
    if (known) return known;
    const made = sha256(concat(NODE, left, right));
    if (this.known.size < 500_000) this.known.set(key, made);
    return made;
  }
}

/**
 * The hashes from a leaf up to the root it leads to, leaf first; null if the path has another
 * length than one of this index in a tree of this size (RFC 9162 2.1.3.2).
 * @param {Uint8Array} leaf a leaf hash @param {number} index @param {number} size
 * @param {Uint8Array[]} path lowest sibling first
 * @param {Nodes} nodes
 * @returns {Promise<Array<{hash: Uint8Array, sibling: Uint8Array | null, left: boolean}> | null>}
 */
export async function climb(leaf, index, size, path, nodes = new Nodes()) {
  if (!(index >= 0 && index < size)) return null;
  /** @type {Array<{hash: Uint8Array, sibling: Uint8Array | null, left: boolean}>} */
  const steps = [{ hash: leaf, sibling: null, left: false }];
  let [node, place, last] = [leaf, index, size - 1];
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return null;
    const left = place % 2 === 1 || place === last;
    node = left ? await nodes.hash(sibling, node) : await nodes.hash(node, sibling);
    // A last node without a sibling rises unchanged.
    while (left && place % 2 === 0 && place !== 0) [place, last] = [place / 2, Math.floor(last / 2)];
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    steps.push({ hash: node, sibling, left });
  }
  return last === 0 ? steps : null;
}

/**
 * @param {Uint8Array} leaf @param {number} index @param {number} size
 * @param {Uint8Array[]} path @param {Uint8Array} root @param {Nodes} [nodes]
 * @returns {Promise<boolean>}
 */
export async function included(leaf, index, size, path, root, nodes) {
  const steps = await climb(leaf, index, size, path, nodes);
  return steps !== null && same(steps[steps.length - 1].hash, root);
}

/**
 * Root over leaf hashes; a last odd node rises unchanged.
 * @param {Uint8Array[]} leaves at least one @returns {Promise<Uint8Array>}
 */
export async function rootOf(leaves) {
  let level = leaves;
  while (level.length > 1) {
    const next = [];
    for (let at = 0; at < level.length; at += 2) {
      next.push(
        at + 1 < level.length ? sha256(concat(NODE, level[at], level[at + 1])) : level[at],
      );
    }
    level = await Promise.all(next);
  }
  return level[0];
}

/**
 * Whether a tree of the second size and root begins with that of the first (RFC 9162 2.1.4.2).
 * @param {number} first @param {Uint8Array} firstRoot
 * @param {number} second @param {Uint8Array} secondRoot
 * @param {Uint8Array[]} proof @returns {Promise<boolean>}
 */
export async function consistent(first, firstRoot, second, secondRoot, proof) {
  if (first > second) return false;
  if (first === second) return proof.length === 0 && same(firstRoot, secondRoot);
  if (first === 0) return proof.length === 0;
  if (proof.some((one) => one.length !== 32)) return false;
  const hashes = [...proof];
  let [place, last] = [first - 1, second - 1];
  while (place % 2 === 1) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  // A first tree that is a whole subtree of the second is its own start.
  const start = place === 0 ? firstRoot : hashes.shift();
  if (!start) return false;
  const nodes = new Nodes();
  let [older, newer] = [start, start];
  for (const sibling of hashes) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      older = await nodes.hash(sibling, older);
      newer = await nodes.hash(sibling, newer);
      while (place % 2 === 0 && place !== 0) [place, last] = [place / 2, Math.floor(last / 2)];
    } else {
      newer = await nodes.hash(newer, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 && same(older, firstRoot) && same(newer, secondRoot);
}
