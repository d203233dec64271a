/** The page: a file and keys in, the steps and the verdict out. Nothing leaves it. */

import { available } from "./ed25519.js";
import { byId, element } from "./elements.js";
import { claimsView, cannotProve, restsOn } from "./claims-view.js";
import { pathPicture } from "./path-picture.js";
import { chooseLanguage, knows, say } from "./texts.js";
import { keep, kept, readTrust, WrongTrust } from "./trust.js";
import { STEPS, verify } from "./verify.js";
import { MOST_BYTES } from "./zip.js";

const SIGNS = { holds: "✓", fails: "✕", empty: "–", not_reached: "·" };

/** @type {File | null} */
let chosen = null;
let busy = false;

/** @param {string} state @param {string} word @param {string} [told] @param {string} [next] */
function showVerdict(state, word, told = "", next = "") {
  byId("verdict").dataset.state = state;
  byId("verdict-word").textContent = word;
  byId("verdict-told").textContent = told;
  byId("verdict-do").textContent = next;
}

/** @param {File | undefined | null} file */
function choose(file) {
  if (!file) return;
  chosen = file;
  byId("drop").classList.add("full");
  byId("drop").querySelector(".drop-words").textContent = file.name;
  byId("file-told").textContent = say("file_size", { bytes: file.size });
}

/** What stops a check before it begins: said, and the field that is wrong gets the focus. */
function stop(/** @type {string} */ key, /** @type {string} */ field, values = {}) {
  showVerdict("stopped", say("verdict_stopped"), say(key, values));
  const wrong = byId(field);
  wrong.setAttribute("aria-invalid", "true");
  wrong.closest("details")?.setAttribute("open", "");
  wrong.focus();
}

function clear() {
  delete byId("verdict").dataset.code;
  delete byId("verdict").dataset.step;
  for (const part of ["steps-part", "path-part", "cannot-part", "keys-part"]) byId(part).hidden = true;
  for (const part of ["steps", "path", "claims", "cannot", "keys"]) byId(part).replaceChildren();
  for (const wrong of document.querySelectorAll("[aria-invalid]")) wrong.removeAttribute("aria-invalid");
}

function typed() {
  return {
    logKey: byId("log-key").value,
    witnesses: byId("witnesses").value,
    quorum: byId("quorum").value,
    earlier: byId("earlier").value,
  };
}

/** @param {Event} event */
async function check(event) {
  event.preventDefault();
  if (busy) return;
  clear();
  if (!chosen) return stop("no_file", "file");
  if (chosen.size > MOST_BYTES) return stop("too_large_here", "file");
  if (!(await available())) return stop("no_ed25519", "check");
  busy = true;
  byId("check").setAttribute("aria-disabled", "true");
  try {
    const trust = await readTrust(typed());
    keepTyped();
    byId("steps-part").hidden = false;
    await verifyChosen(chosen, trust);
  } catch (error) {
    if (error instanceof WrongTrust) stop(error.key, error.field, error.values);
    else stop("unreadable", "file");
  } finally {
    busy = false;
    byId("check").removeAttribute("aria-disabled");
  }
}

/** @param {File} file @param {import("./history.js").Trust} trust */
async function verifyChosen(file, trust) {
  const data = new Uint8Array(await file.arrayBuffer());
  const list = byId("steps");
  let said = performance.now();
  showChecking(1);
  const verdict = await verify(data, trust, async (step) => {
    list.append(stepView(step));
    // Once a second at most: every change is read aloud.
    if (step.number < STEPS && performance.now() - said > 1000) {
      said = performance.now();
      showChecking(step.number + 1);
    }
    await new Promise((painted) => setTimeout(painted, 0));
  });
  list.replaceChildren(...verdict.steps.map(stepView));
  showFound(verdict);
  showEnd(verdict);
}

/** @param {number} number of the step that is being checked */
function showChecking(number) {
  showVerdict("checking", say("verdict_checking", { number, name: say(`step_${number}`) }));
}

/** @param {import("./verify.js").Step} step @returns {HTMLElement} */
function stepView({ number, state, told: [key, values] }) {
  const shown = { ...values };
  const where = state === "fails" && values.where ? ` ${say("verdict_where", values)}` : "";
  return element(
    "li",
    { "data-state": state, "data-step": number, "data-code": state === "fails" ? key : null },
    element("span", { class: "sign", "aria-hidden": "true" }, SIGNS[/** @type {"holds"} */ (state)]),
    element("span", { class: "name" }, `${number}. ${say(`step_${number}`)}`),
    element("span", { class: "state" }, say(`state_${state}`)),
    element("p", { class: "told" }, say(key, shown) + where),
  );
}

/** @param {import("./verify.js").Verdict} verdict */
function showEnd({ verifies, exit, step, code, where, found }) {
  const panel = byId("verdict");
  if (verifies) {
    const given = found.head?.given;
    const told = say(given ? "verdict_ok_told" : "verdict_inside_told", {
      origin: found.head?.origin,
    });
    showVerdict(given ? "verifies" : "inside", say(given ? "verdict_ok" : "verdict_inside"), told);
  } else {
    const values = { number: step, name: say(`step_${step}`), meaning: say(code) };
    const place = where ? ` ${say("verdict_where", { where })}` : "";
    const advice = knows(`do_${exit}`) ? `${say(`do_${exit}`)} ` : "";
    const next = advice + say("verdict_codes", { code, exit });
    showVerdict("fails", say("verdict_no"), say("verdict_no_told", values) + place, next);
  }
  panel.dataset.code = code;
  panel.dataset.step = String(step);
  panel.focus({ preventScroll: true });
  panel.scrollIntoView({ block: "nearest" });
}

/** @param {import("./verify.js").Verdict} verdict */
function showFound({ verifies, found }) {
  if (found.ways && found.head) showPaths(found.ways, found.head.size);
  if (!verifies) return;
  byId("claims").replaceChildren(...claimsView(found));
  byId("cannot").replaceChildren(...cannotProve(found).map((one) => element("li", {}, one)));
  byId("cannot-part").hidden = false;
  byId("keys").replaceChildren(
    ...restsOn(found).map(([name, text]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, element("code", {}, text))),
    ),
  );
  byId("keys-part").hidden = false;
}

/** @param {Map<number, import("./rows.js").Climb>} ways @param {number} size */
function showPaths(ways, size) {
  const positions = [...ways.keys()];
  const pick = /** @type {HTMLSelectElement} */ (element("select", { id: "path-row" }));
  for (const position of positions) {
    pick.append(element("option", { value: position }, String(position)));
  }
  const picture = element("div", { id: "path-picture" });
  const draw = () => {
    const position = Number(pick.value);
    picture.replaceChildren(pathPicture(position, size, ways.get(position) ?? []));
  };
  pick.value = String(positions[positions.length - 1]);
  pick.addEventListener("change", draw);
  draw();
  byId("path").replaceChildren(
    element("div", { class: "pick" }, element("label", { for: "path-row" }, say("path_pick")), pick),
    picture,
  );
  byId("path-part").hidden = false;
}

function keepTyped() {
  if (!byId("keep").checked) return keep(null);
  const fields = ["log-key", "witnesses", "quorum"];
  return keep(Object.fromEntries(fields.map((name) => [name, byId(name).value])));
}

function restoreKept() {
  const before = kept();
  if (!before) return;
  for (const [name, value] of Object.entries(before)) byId(name).value = value;
  byId("keep").checked = true;
  if (before.witnesses.trim()) byId("more").open = true;
}

function listenToDrops() {
  const drop = byId("drop");
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.remove("over");
    });
  }
  document.addEventListener("drop", (event) => choose(event.dataTransfer?.files[0]));
}

document.documentElement.lang = chooseLanguage([...navigator.languages]);
document.title = say("title");
for (const part of document.querySelectorAll("[data-say]")) {
  part.textContent = say(part.getAttribute("data-say") ?? "");
}
restoreKept();
listenToDrops();
byId("file").addEventListener("change", () => choose(byId("file").files[0]));
byId("keep").addEventListener("change", () => byId("keep").checked || keep(null));
byId("ask").addEventListener("submit", check);
document.documentElement.dataset.ready = String(STEPS);
