"""What every page must have for people who do not see it, or see little: names and contrast."""

from __future__ import annotations

from playwright.sync_api import Page

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
LEAST_LARGE = 3.0  # 24 px, or 18.66 px bold

_UNNAMED = """() => {
  const wrong = [];
  const named = (one) => {
    const by = (one.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean);
    return one.getAttribute("aria-label") || one.textContent.trim() || one.labels?.length
      || by.some((id) => document.getElementById(id)?.textContent.trim());
  };
  const parts = "a,button,input,select,textarea,summary,[role=img],[role=region],section,svg";
  for (const one of document.querySelectorAll(parts)) {
    if (!one.checkVisibility() || one.closest("[aria-hidden=true]")) continue;
    if (one.matches("svg svg")) continue;  // a part of the picture around it
    if (!named(one)) wrong.push(`no name: ${one.outerHTML.slice(0, 120)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`id twice: ${id}`);
  for (const one of document.querySelectorAll("[aria-describedby],[aria-labelledby],label[for]")) {
    for (const name of ["aria-describedby", "aria-labelledby", "for"]) {
      for (const id of (one.getAttribute(name) || "").split(" ").filter(Boolean)) {
        if (!document.getElementById(id)) wrong.push(`${name} leads nowhere: ${id}`);
      }
    }
  }
  let level = 0;
  for (const one of document.querySelectorAll("h1,h2,h3,h4,h5,h6")) {
    if (!one.checkVisibility()) continue;
    const here = Number(one.tagName[1]);
    if (here > level + 1) wrong.push(`a heading skips a level: ${one.textContent}`);
    level = here;
  }
  return wrong;
}"""

_CONTRASTS = """([least, large]) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], [R, G, B]) =>
    [r, g, b].map((one, at) => (one * a + [R, G, B][at] * (255 - a)) / 255);
  const light = (color) => {
    const [r, g, b] = color.map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const layers = [];
    for (let up = one; up; up = up.parentElement) {
      layers.push(rgba(getComputedStyle(up).backgroundColor));
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const wrong = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const one = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !one.checkVisibility()) continue;
    const style = getComputedStyle(one);
    const ground = behind(one);
    const svg = one instanceof SVGElement;
    const ink = over(rgba(svg ? style.fill : style.color), ground);
    const [high, low] = [light(ink), light(ground)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const big = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (big ? large : least)) {
      wrong.push(`${ratio.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 60)}`);
    }
  }
  return wrong;
}"""


def unnamed(page: Page) -> list[str]:
    """Controls and pictures without a name, references that lead nowhere, headings out of order."""
    found: list[str] = page.evaluate(_UNNAMED)
    return found


def contrasts(page: Page) -> list[str]:
    """Texts that are too faint before what lies behind them."""
    found: list[str] = page.evaluate(_CONTRASTS, [LEAST_CONTRAST, LEAST_LARGE])
    return found
