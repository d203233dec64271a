/** Elements made from values; every text becomes a text node, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} name @param {Record<string, string | number | null>} [attributes]
 * @param {Array<Node | string>} children @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  return filled(made, attributes, children);
}

/**
 * @param {string} name @param {Record<string, string | number | null>} [attributes]
 * @param {Array<Node | string>} children @returns {SVGElement}
 */
export function drawing(name, attributes = {}, ...children) {
  return filled(/** @type {SVGElement} */ (document.createElementNS(SVG, name)), attributes, children);
}

/**
 * @template {Element} Made
 * @param {Made} made @param {Record<string, string | number | null>} attributes
 * @param {Array<Node | string>} children @returns {Made}
 */
function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/** @param {string} id @returns {any} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

/**
 * A table in a box that scrolls. Where the screen is narrow each row becomes a block of its own, so
 * roles are said outright: styles that unmake a table unmake what browsers tell of it.
 * @param {string} caption @param {string[]} heads
 * @param {Array<Array<Node | string>>} rows the first cell of each names it
 * @param {number[]} [figures] columns of numbers @returns {HTMLElement}
 */
export function table(caption, heads, rows, figures = []) {
  const right = (/** @type {number} */ at) => (figures.includes(at) ? "figure" : null);
  const head = heads.map((one, at) =>
    element("th", { scope: "col", role: "columnheader", class: right(at) }, one),
  );
  const body = rows.map((cells) =>
    element(
      "tr",
      { role: "row" },
      ...cells.map((cell, at) => {
        const names = { class: right(at), "data-label": heads[at] };
        return at === 0
          ? element("th", { scope: "row", role: "rowheader", ...names }, cell)
          : element("td", { role: "cell", ...names }, cell);
      }),
    ),
  );
  return element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element(
      "table",
      { role: "table" },
      element("caption", {}, caption),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...head)),
      element("tbody", { role: "rowgroup" }, ...body),
    ),
  );
}
