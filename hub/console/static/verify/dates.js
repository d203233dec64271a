/**
 * Dates and instants out of facts, where they are ISO text.
 *
 * A day is a whole number of days since 1970-01-01, an instant a number of microseconds since then,
 * both UTC. `FOREVER`, the last day of year 9999, stands for a clock that cannot be trusted: whatever
 * can expire has expired.
 */

export const FOREVER = 2_932_896 * 86_400_000_000;

const DAY_MICROS = 86_400_000_000;
const DAY = /^(\d{4})-(\d\d)-(\d\d)/;
const INSTANT =
  /^(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)$/;

/**
 * The day at the start of a text, or null.
 * @param {unknown} text @returns {number | null}
 */
export function day(text) {
  const found = typeof text === "string" ? DAY.exec(text) : null;
  return found ? dayNumber(Number(found[1]), Number(found[2]), Number(found[3])) : null;
}

/** @param {number} year @param {number} month @param {number} date @returns {number | null} */
function dayNumber(year, month, date) {
  const at = new Date(0);
  at.setUTCFullYear(year, month - 1, date);
  const real = at.getUTCFullYear() === year && at.getUTCMonth() === month - 1;
  return real && at.getUTCDate() === date && year > 0 ? at.getTime() / 86_400_000 : null;
}

/**
 * An instant that names its zone, or null.
 * @param {unknown} text @returns {number | null}
 */
export function instant(text) {
  const found = typeof text === "string" ? INSTANT.exec(text) : null;
  const on = found && day(found[1]);
  if (!found || on === null) return null;
  const [hours, minutes, seconds] = [found[2], found[3], found[4] ?? "0"].map(Number);
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  const micros = Number((found[5] ?? "").padEnd(6, "0"));
  const zone = found[6] === "Z" ? 0 : offset(found[6]);
  return on * DAY_MICROS + ((hours * 60 + minutes - zone) * 60 + seconds) * 1_000_000 + micros;
}

/** @param {string} zone such as +01:00 @returns {number} minutes */
function offset(zone) {
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  return zone[0] === "-" ? -minutes : minutes;
}

/** @param {number} at an instant @returns {number} */
export function dayOf(at) {
  return Math.floor(at / DAY_MICROS);
}

/**
 * The day on which somebody comes of age; one born on 29 February does on 1 March.
 * @param {number} born @returns {number}
 */
export function comingOfAge(born) {
  const date = new Date(born * 86_400_000);
  date.setUTCFullYear(date.getUTCFullYear() + 18);
  return date.getTime() / 86_400_000;
}

/**
 * For people, in UTC: 2026-03-02 09:41.
 * @param {number | bigint} at @returns {string}
 */
export function shownInstant(at) {
  const time = new Date(Number(at) / 1000);
  if (Number.isNaN(time.getTime())) return "?";
  return time.toISOString().slice(0, 16).replace("T", " ");
}
