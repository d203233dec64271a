/** A small picture: one row's hash, joined with sibling after sibling, up to the signed root. */

import { hex } from "./bytes.js";
import { drawing, element } from "./elements.js";
import { say } from "./texts.js";

const [WIDTH, STEP, TOP] = [360, 46, 34];
const SWING = 46;

/**
 * @param {number} position of the row @param {number} size of the tree
 * @param {import("./rows.js").Climb} way leaf first @returns {HTMLElement}
 */
export function pathPicture(position, size, way) {
  const height = TOP * 2 + STEP * (way.length - 1);
  const said = say("path_alt", { position, index: position - 1, size, steps: way.length - 1 });
  const points = placed(way, height);
  const parts = [];
  for (let at = 1; at < way.length; at += 1) parts.push(...join(points, way, at));
  way.forEach((_, at) => parts.push(...node(points[at], way, at, position)));
  const picture = drawing(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": said },
    ...parts,
  );
  return element(
    "figure",
    {},
    picture,
    element("figcaption", { class: "quiet" }, say("path_lead")),
    element(
      "details",
      {},
      element("summary", {}, say("path_text")),
      element("ol", {}, ...way.map((step) => element("li", {}, inWords(step)))),
    ),
  );
}

/**
 * Where each node stands: the way sways to the side on which the row lies.
 * @param {import("./rows.js").Climb} way @param {number} height
 * @returns {Array<{x: number, y: number}>} leaf first
 */
function placed(way, height) {
  let x = WIDTH / 2;
  return way.map((step, at) => {
    if (at > 0) {
      const next = x + (step.left ? -SWING / 2 : SWING / 2);
      x = Math.min(Math.max(next, 110), WIDTH - 110);
    }
    return { x, y: height - TOP - at * STEP };
  });
}

/**
 * @param {Array<{x: number, y: number}>} points @param {import("./rows.js").Climb} way
 * @param {number} at
 */
function join(points, way, at) {
  const [below, here] = [points[at - 1], points[at]];
  const { left, sibling } = way[at];
  const aside = { x: below.x + (left ? -SWING : SWING), y: below.y };
  const anchor = left ? "end" : "start";
  const label = { x: aside.x + (left ? -12 : 12), y: aside.y + 4, "text-anchor": anchor };
  return [
    drawing("path", { class: "side", d: `M${aside.x} ${aside.y}L${here.x} ${here.y}` }),
    drawing("path", { class: "way", d: `M${below.x} ${below.y}L${here.x} ${here.y}` }),
    drawing("rect", { class: "sibling", x: aside.x - 7, y: aside.y - 7, width: 14, height: 14, rx: 3 }),
    drawing("text", label, short(sibling)),
  ];
}

/**
 * @param {{x: number, y: number}} point @param {import("./rows.js").Climb} way @param {number} at
 * @param {number} position
 */
function node({ x, y }, way, at, position) {
  const [leaf, root] = [at === 0, at === way.length - 1];
  const kind = root ? "node root" : leaf ? "node leaf" : "node";
  const parts = [drawing("circle", { class: kind, cx: x, cy: y, r: root || leaf ? 10 : 7 })];
  const name = root ? say("path_root") : leaf ? say("path_row", { position }) : "";
  const under = { class: "name", x, y: root ? y - 18 : y + 26, "text-anchor": "middle" };
  if (name) parts.push(drawing("text", under, name));
  return parts;
}

/** @param {import("./rows.js").Climb[number]} step @returns {string} */
function inWords({ hash, sibling, left }) {
  if (!sibling) return say("path_leaf", { hash: hex(hash) });
  const side = left ? "path_join_left" : "path_join_right";
  return say(side, { sibling: short(sibling), hash: hex(hash) });
}

/** @param {Uint8Array | null} hash @returns {string} */
function short(hash) {
  return hash ? `${hex(hash.subarray(0, 4))}…` : "";
}
