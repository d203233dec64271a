/** Bytes, and texts that stand for them: strict both ways. */

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const HEX = /^(?:[0-9a-f]{2})*$/;

/** @param {Uint8Array} data @returns {string} throws TypeError unless it is UTF-8 */
export function text(data) {
  return UTF8.decode(data);
}

/** @param {string} string @returns {Uint8Array} */
export function utf8(string) {
  return ENCODER.encode(string);
}

/** @param {Uint8Array[]} parts @returns {Uint8Array} */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {Uint8Array} one @param {Uint8Array} other @returns {boolean} */
export function same(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Order as bytes: negative, zero or positive. @param {Uint8Array} one @param {Uint8Array} other */
export function compare(one, other) {
  const least = Math.min(one.length, other.length);
  for (let at = 0; at < least; at += 1) {
    if (one[at] !== other[at]) return one[at] - other[at];
  }
  return one.length - other.length;
}

/** @param {Uint8Array} data @returns {string} lower case */
export function hex(data) {
  let out = "";
  for (const byte of data) out += byte.toString(16).padStart(2, "0");
  return out;
}

/** @param {string} string @returns {Uint8Array | null} null unless it is lower-case hexadecimal */
export function fromHex(string) {
  if (!HEX.test(string)) return null;
  return Uint8Array.from(string.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/**
 * Standard base64 with padding, in its one canonical spelling only.
 * @param {string} string @returns {Uint8Array | null}
 */
export function fromBase64(string) {
  if (!BASE64.test(string)) return null;
  const data = Uint8Array.from(atob(string), (one) => one.charCodeAt(0));
  return toBase64(data) === string ? data : null;
}

/** @param {Uint8Array} data @returns {string} */
export function toBase64(data) {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** UUID text of 16 bytes. @param {Uint8Array} id @returns {string} */
export function uuid(id) {
  return hex(id).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** @param {number} value @returns {Uint8Array} four bytes, big-endian */
export function u32be(value) {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}
