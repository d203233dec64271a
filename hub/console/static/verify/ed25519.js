/**
 * Ed25519 (RFC 8032), verified by the platform over typed bytes (DSSE), with weak keys refused.
 *
 * A key of small order, an encoding that is not canonical or bytes that are no point of the curve
 * are refused here: libraries accept some of them, and then one signature holds for any message.
 */

import { concat, hex, utf8 } from "./bytes.js";
import { sha256 } from "./sha256.js";

export const BATCH = "application/vnd.nrm.batch.v1+avro";
export const RECEIPT = "application/vnd.nrm.receipt.v1+avro";
export const EVIDENCE = "application/vnd.nrm.evidence.v1+json";
export const ABSENCE = "application/vnd.nrm.absence.v1+json";

const P = 2n ** 255n - 19n;
const D = modulo(-121665n * power(121666n, P - 2n));
const Y_OF_ORDER_EIGHT = littleEndian(
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
);
const SMALL_ORDER = new Set([0n, 1n, P - 1n, Y_OF_ORDER_EIGHT, P - Y_OF_ORDER_EIGHT]);

/** @param {bigint} value @returns {bigint} */
function modulo(value) {
  return ((value % P) + P) % P;
}

/** @param {bigint} base @param {bigint} exponent @returns {bigint} */
function power(base, exponent) {
  let [result, square, left] = [1n, modulo(base), exponent];
  for (; left > 0n; left >>= 1n) {
    if (left & 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}

/** @param {string} encoded hexadecimal @returns {bigint} */
function littleEndian(encoded) {
  return BigInt(`0x${encoded.match(/../g)?.reverse().join("") ?? "0"}`);
}

/**
 * Whether the bytes are the canonical encoding of a usable point.
 * @param {Uint8Array} raw @returns {boolean}
 */
export function usableKey(raw) {
  if (raw.length !== 32) return false;
  const y = littleEndian(hex(raw)) & (2n ** 255n - 1n);
  if (y >= P || SMALL_ORDER.has(y)) return false;
  // On the curve iff (y² − 1) / (d y² + 1) is a square (RFC 8032 5.1.3).
  const square = modulo(y * y);
  return power(modulo((square - 1n) * (D * square + 1n)), (P - 1n) / 2n) === 1n;
}

/** @type {Map<string, Promise<CryptoKey | null>>} */
const keys = new Map();

/** @param {Uint8Array} raw @returns {Promise<CryptoKey | null>} */
function load(raw) {
  const name = hex(raw);
  let key = keys.get(name);
  if (!key) {
    key = usableKey(raw)
      ? crypto.subtle.importKey("raw", /** @type {BufferSource} */ (raw), "Ed25519", false, [
          "verify",
        ])
      : Promise.resolve(null);
    if (keys.size < 10_000) keys.set(name, key);
  }
  return key;
}

/**
 * Over bytes as they are; for formats that bring their own domain separation.
 * @param {Uint8Array} raw public key @param {Uint8Array} message @param {Uint8Array} signature
 * @returns {Promise<boolean>}
 */
export async function verifyRaw(raw, message, signature) {
  if (signature.length !== 64) return false;
  const key = await load(raw);
  if (!key) return false;
  const [signed, over] = /** @type {BufferSource[]} */ ([signature, message]);
  return crypto.subtle.verify("Ed25519", key, signed, over);
}

/**
 * Over the DSSE pre-authentication encoding of a payload type and a body.
 * @param {Uint8Array} raw @param {string} type @param {Uint8Array} body
 * @param {Uint8Array} signature @returns {Promise<boolean>}
 */
export function verifyTyped(raw, type, body, signature) {
  return verifyRaw(raw, preAuthentication(type, body), signature);
}

/** @param {string} type @param {Uint8Array} body @returns {Uint8Array} */
export function preAuthentication(type, body) {
  const kind = utf8(type);
  return concat(utf8(`DSSEv1 ${kind.length} `), kind, utf8(` ${body.length} `), body);
}

/** First 16 bytes of SHA-256 of a public key. @param {Uint8Array} raw */
export async function keyId(raw) {
  return (await sha256(raw)).subarray(0, 16);
}

/** Whether this platform can verify at all. @returns {Promise<boolean>} */
export async function available() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32).fill(1, 0, 1), "Ed25519", false, [
      "verify",
    ]);
    return true;
  } catch (error) {
    return error instanceof Error && error.name === "DataError";
  }
}
