/** CRC-32 as ZIP has it: finds damage on the way, and proves nothing. */

const TABLE = new Uint32Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let left = byte;
  for (let bit = 0; bit < 8; bit += 1) left = left & 1 ? (left >>> 1) ^ 0xedb88320 : left >>> 1;
  TABLE[byte] = left;
}

/** @param {Uint8Array} data @returns {number} */
export function crc32(data) {
  let left = 0xffffffff;
  for (const byte of data) left = (left >>> 8) ^ TABLE[(left ^ byte) & 0xff];
  return (left ^ 0xffffffff) >>> 0;
}
