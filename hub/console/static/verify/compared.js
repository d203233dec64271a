/**
 * A recorded settlement beside the same one made again.
 *
 * Further reasons after the first do not decide anything and are not compared; order means nothing.
 */

import { each } from "./holdings.js";

/**
 * @typedef {{agency: string, role: string, category: string, recorded: string, again: string}} Line
 * @typedef {{part: string, recorded: string, again: string}} Difference
 */

/**
 * Every pair that was decided, recorded and again; the emitter and the hub left out.
 * @param {import("./settlement.js").Settlement} recorded
 * @param {import("./settlement.js").Settlement} again
 * @param {Iterable<import("./settle.js").Party>} parties @param {string} emitter
 * @returns {Line[]}
 */
export function decisions(recorded, again, parties, emitter) {
  const lines = [];
  for (const { agency, role } of parties) {
    if (agency === emitter || role === "hub") continue;
    for (const category of new Set([...recorded.categories, ...again.categories])) {
      lines.push({
        agency,
        role,
        category,
        recorded: recorded.outcome(agency, role, category) ?? "not decided",
        again: again.outcome(agency, role, category) ?? "not decided",
      });
    }
  }
  return lines;
}

/**
 * Parts that came out differently, decisions aside.
 * @param {import("./settlement.js").Settlement} recorded
 * @param {import("./settlement.js").Settlement} again
 * @returns {Difference[]}
 */
export function differences(recorded, again) {
  const pairs = [
    ["policy", recorded.policy, again.policy],
    ["parties", String(recorded.parties), String(again.parties)],
    ["age", `${recorded.age.child} ${recorded.age.disputed}`, `${again.age.child} ${again.age.disputed}`],
    ["categories", sorted(recorded.categories), sorted(again.categories)],
    ["recalls", recalls(recorded.recalls), recalls(again.recalls)],
    ["rebased", bases(recorded.rebased), bases(again.rebased)],
    ["left", sorted(recorded.left), sorted(again.left)],
    ["backfill", bases(recorded.backfill), bases(again.backfill)],
    ["windows", bases(recorded.windows), bases(again.windows)],
  ];
  return pairs
    .filter(([, then, now]) => then !== now)
    .map(([part, then, now]) => ({ part, recorded: then, again: now }));
}

/** @param {string[]} names @returns {string} */
function sorted(names) {
  return JSON.stringify([...names].sort());
}

/** @param {import("./holdings.js").Bases} all @returns {string} */
function bases(all) {
  return sorted([...each(all)].map((one) => JSON.stringify(one)));
}

/** @param {import("./settlement.js").Recall[]} all @returns {string} */
function recalls(all) {
  const items = all.flatMap(({ to, action, items: events }) =>
    [...events].flatMap(([id, names]) => [...names].map((name) => [to, action, id, name])),
  );
  return sorted(items.map((one) => JSON.stringify(one)));
}
