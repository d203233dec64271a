/**
 * The container: a ZIP of stored members in one canonical form (docs/evidence.md 3).
 *
 * Read from the front; the directory at the end must be exactly what the members before it make.
 */

import { compare, concat, same, text, utf8 } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { must } from "./refusal.js";

export const MOST_BYTES = 256 * 1024 * 1024;
export const MOST_MEMBER_BYTES = 64 * 1024 * 1024;
export const MOST_MANIFEST_BYTES = 16 * 1024 * 1024;
export const MOST_MEMBERS = 60_000;

const LOCAL = Uint8Array.of(0x50, 0x4b, 0x03, 0x04);
const DIRECTORY = Uint8Array.of(0x50, 0x4b, 0x01, 0x02);
const END = Uint8Array.of(0x50, 0x4b, 0x05, 0x06);
const HEADER_BYTES = 30;
const NAME = /^[a-z0-9._-]+(?:\/[a-z0-9._-]+)*$/;
const FIRST = ["manifest.json", "manifest.sig"];

/**
 * @typedef {{name: string, crc: number, size: number, offset: number, data: Uint8Array}} Member
 */

/**
 * Members by name, in the file's order.
 * @param {Uint8Array} file @returns {Map<string, Member>} throws Refusal
 */
export function readZip(file) {
  must(file.length <= MOST_BYTES, "too_large");
  const begins = file.subarray(0, 4);
  must(startsWith(LOCAL, begins), "not_a_bundle");
  const members = new Map();
  /** @type {Member | null} */
  let last = null;
  let at = 0;
  while (file.length - at >= 4 && same(file.subarray(at, at + 4), LOCAL)) {
    must(members.size < MOST_MEMBERS, "too_many_members");
    const member = readHeader(file, at);
    must(inOrder(last, member, members), "bad_order", member.name);
    at += HEADER_BYTES + member.name.length;
    must(file.length - at >= member.size, "truncated", member.name);
    member.data = file.subarray(at, at + member.size);
    must(crc32(member.data) === member.crc, "bad_checksum", member.name);
    members.set(member.name, member);
    at += member.size;
    last = member;
  }
  const rest = file.subarray(at);
  const begun = rest.length < 4 && [LOCAL, DIRECTORY].some((one) => startsWith(one, rest));
  must(!begun, "truncated");
  const end = directory([...members.values()], at);
  if (rest.length < end.length) must(!startsWith(end, rest), "truncated");
  must(same(rest, end), "not_canonical");
  return members;
}

/** @param {Uint8Array} whole @param {Uint8Array} start @returns {boolean} */
function startsWith(whole, start) {
  return same(whole.subarray(0, start.length), start);
}

/**
 * A member as its local header has it; its bytes are read by the caller.
 * @param {Uint8Array} file @param {number} at @returns {Member}
 */
function readHeader(file, at) {
  must(file.length - at >= HEADER_BYTES, "truncated");
  const view = new DataView(file.buffer, file.byteOffset + at, HEADER_BYTES);
  const u16 = (/** @type {number} */ from) => view.getUint16(from, true);
  const u32 = (/** @type {number} */ from) => view.getUint32(from, true);
  const [crc, size, again, length] = [u32(14), u32(18), u32(22), u16(26)];
  const start = at + HEADER_BYTES;
  must(file.length - start >= length, "truncated");
  must(length >= 1 && length <= 100, "bad_name");
  const name = memberName(file.subarray(start, start + length));
  must(u16(6) === 0 && u16(8) === 0 && size === again, "not_stored", name);
  must(u16(4) === 10 && u16(10) === 0 && u16(12) === 0x21 && u16(28) === 0, "not_canonical", name);
  must(size <= (name === FIRST[0] ? MOST_MANIFEST_BYTES : MOST_MEMBER_BYTES), "too_large", name);
  return { name, crc, size, offset: at, data: new Uint8Array() };
}

/** @param {Uint8Array} raw @returns {string} */
function memberName(raw) {
  must(
    raw.every((byte) => byte < 0x80),
    "bad_name",
  );
  const name = text(raw);
  const parts = name.split("/");
  must(NAME.test(name) && !parts.includes(".") && !parts.includes(".."), "bad_name");
  return name;
}

/** @param {Member | null} last @param {Member} next @param {Map<string, Member>} before */
function inOrder(last, next, before) {
  if (before.size < FIRST.length) return next.name === FIRST[before.size];
  if (FIRST.includes(next.name) || !last) return false;
  return before.size === FIRST.length || compare(utf8(last.name), utf8(next.name)) < 0;
}

/**
 * What has to stand after the members.
 * @param {Member[]} members @param {number} offset @returns {Uint8Array}
 */
function directory(members, offset) {
  const entries = members.map(({ name, data, crc, offset: at }) => {
    const fixed = new Uint8Array(46);
    const view = new DataView(fixed.buffer);
    fixed.set(DIRECTORY);
    view.setUint16(4, 10, true);
    view.setUint16(6, 10, true);
    view.setUint16(14, 0x21, true);
    view.setUint32(16, crc, true);
    view.setUint32(20, data.length, true);
    view.setUint32(24, data.length, true);
    view.setUint16(28, name.length, true);
    view.setUint32(42, at, true);
    return concat(fixed, utf8(name));
  });
  const whole = concat(...entries);
  const end = new Uint8Array(22);
  const view = new DataView(end.buffer);
  end.set(END);
  view.setUint16(8, members.length, true);
  view.setUint16(10, members.length, true);
  view.setUint32(12, whole.length, true);
  view.setUint32(16, offset, true);
  return concat(whole, end);
}
