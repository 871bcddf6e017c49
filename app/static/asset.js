// The page of an image: zoom and pan, suggestions of tags, toasts that take a change back.

const STEPS = [0.05, 0.1, 0.17, 0.25, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4, 6, 8];
const KEY_PAN = 60;
const PIXELS_FROM = 3; // from here on single pixels are shown as squares

const middle = (points) => {
  const sum = points.reduce((all, one) => ({ x: all.x + one.x, y: all.y + one.y }));
  return { x: sum.x / points.length, y: sum.y / points.length };
};

const spread = ([one, other]) => Math.hypot(one.x - other.x, one.y - other.y);

class Viewer {
  constructor(figure) {
    this.stage = figure.querySelector(".stage");
    this.image = figure.querySelector("img");
    this.output = figure.querySelector("output");
    this.note = figure.querySelector(".note");
    this.original = figure.dataset.original;
    this.width = Number(figure.dataset.width);
    this.height = Number(figure.dataset.height);
    this.scale = null; // null: as large as fits
    this.x = this.y = 0;
    this.points = new Map();
    this.image.addEventListener("error", () => (this.image.src = figure.dataset.fallback), { once: true });
    this.stage.classList.add("moves");
    figure.querySelector(".zoom").hidden = false;
    figure.addEventListener("click", ({ target }) => this.press(target.closest("[data-zoom]")?.dataset.zoom));
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("dblclick", (event) => this.to(this.scale ? null : 1, this.place(event)));
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const over of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(over, (event) => this.up(event));
    }
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  get fit() {
    return Math.min(this.stage.clientWidth / this.width, this.stage.clientHeight / this.height, 1);
  }

  get center() {
    return { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 };
  }

  place({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  }

  press(what) {
    if (what === "in") this.step(1);
    if (what === "out") this.step(-1);
    if (what === "fit") this.to(null);
    if (what === "whole") this.to(1);
  }

  // To the next step, about a point that stays where it is.
  step(direction, about = this.center) {
    const now = this.scale ?? this.fit;
    const next =
      direction > 0
        ? STEPS.find((one) => one > now * 1.01 && one > this.fit)
        : STEPS.findLast((one) => one < now * 0.99 && one > this.fit);
    if (next) this.to(next, about);
    else if (direction < 0) this.to(null);
  }

  to(scale, about = this.center) {
    const before = this.scale ?? this.fit;
    const now = scale ?? this.fit;
    this.x = about.x - ((about.x - this.x) * now) / before;
    this.y = about.y - ((about.y - this.y) * now) / before;
    this.scale = scale;
    this.draw();
    this.sharpen(now);
  }

  // The picture stays in the stage: centred where it is smaller, else without a gap beside it.
  draw() {
    const now = this.scale ?? this.fit;
    const width = this.width * now;
    const height = this.height * now;
    const { clientWidth, clientHeight } = this.stage;
    const bound = (place, size, room) =>
      size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, place));
    this.x = bound(this.x, width, clientWidth);
    this.y = bound(this.y, height, clientHeight);
    this.image.style.setProperty("width", `${width}px`);
    this.image.style.setProperty("height", `${height}px`);
    this.image.style.setProperty("transform", `translate(${this.x}px, ${this.y}px)`);
    this.stage.classList.toggle("zoomed", this.scale !== null && now > this.fit);
    this.stage.classList.toggle("pixels", now >= PIXELS_FROM);
    const percent = `${Math.round(100 * now)} %`;
    this.output.textContent = this.scale === null ? `Fits, ${percent}` : percent;
  }

  // Past what the preview holds the original takes its place, if browsers show its format.
  async sharpen(scale) {
    const wanted = this.width * scale * devicePixelRatio;
    if (this.sharp || !this.image.naturalWidth || wanted <= this.image.naturalWidth * 1.05) return;
    if (this.image.naturalWidth >= this.width) return;
    this.note.hidden = false;
    if (!this.original) return;
    this.sharp = true;
    const whole = new Image();
    whole.src = this.original;
    try {
      await whole.decode();
      this.image.src = this.original;
      this.note.hidden = true;
    } catch {
      this.note.textContent = "The original could not be loaded: this is a preview.";
    }
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (event.key === "+" || event.key === "=") this.step(1);
    else if (event.key === "-") this.step(-1);
    else if (event.key === "0") this.to(null);
    else if (event.key === "1") this.to(1);
    else if (pan && this.scale !== null) {
      this.x += pan[0] * KEY_PAN;
      this.y += pan[1] * KEY_PAN;
      this.draw();
    } else return;
    event.preventDefault();
  }

  // With ctrl, as a touchpad's pinch says it; without, the page scrolls.
  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const now = (this.scale ?? this.fit) * Math.exp(-event.deltaY / 200);
    this.zoom(now, this.place(event));
  }

  zoom(scale, about) {
    const bounded = Math.min(scale, STEPS.at(-1));
    this.to(bounded <= this.fit ? null : bounded, about);
  }

  down(event) {
    if (event.button) return;
    this.points.set(event.pointerId, this.place(event));
    this.stage.setPointerCapture(event.pointerId);
    this.remember();
  }

  remember() {
    const points = [...this.points.values()];
    if (!points.length) return;
    this.began = {
      at: middle(points), x: this.x, y: this.y, scale: this.scale ?? this.fit,
      spread: points.length > 1 ? spread(points) : 0,
    };
  }

  move(event) {
    if (!this.points.has(event.pointerId)) return;
    this.points.set(event.pointerId, this.place(event));
    const points = [...this.points.values()];
    const at = middle(points);
    if (points.length > 1 && this.began.spread) {
      this.zoom((this.began.scale * spread(points)) / this.began.spread, at);
    } else if (this.scale !== null) {
      this.x = this.began.x + at.x - this.began.at.x;
      this.y = this.began.y + at.y - this.began.at.y;
      this.draw();
    }
  }

  up(event) {
    this.points.delete(event.pointerId);
    this.remember();
  }
}

for (const figure of document.querySelectorAll("[data-viewer]")) new Viewer(figure);

// The list that the library has remembered (library.js): back to it, and along it.
const neighbours = document.getElementById("neighbours");
const along = (list) => {
  const at = list.order.indexOf(neighbours.dataset.id);
  if (at < 0) return;
  document.getElementById("back").href = list.address;
  for (const [rel, id] of [["prev", list.order[at - 1]], ["next", list.order[at + 1]]]) {
    const link = neighbours.querySelector(`[rel=${rel}]`);
    link.hidden = !id;
    if (id) link.href = `${id}${new URLSearchParams(location.search).get("mode") === "test" ? "?mode=test" : ""}`;
  }
  neighbours.hidden = list.order.length < 2;
};
try {
  along(JSON.parse(sessionStorage.getItem("library")) ?? { order: [] });
} catch {
  // nothing is remembered, or not by this version
}
document.addEventListener("keydown", (event) => {
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const isFree = event.target.matches("body, main, .stage:not(.zoomed)");
  if (!rel || !isFree || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const link = neighbours.querySelector(`[rel=${rel}]`);
  if (!neighbours.hidden && !link.hidden) link.click();
});

const video = document.querySelector(".viewer video");
video?.addEventListener("error", () => {
  document.querySelector("[data-unplayable]").hidden = false;
});

// A toast comes inside the part that has changed, and goes where toasts are.
const show = (toast) => {
  const place = document.querySelector(".toasts") ?? document.createElement("div");
  place.className = "toasts";
  document.body.append(place);
  place.replaceChildren(toast);
};

const prepare = (root) => {
  for (const toast of root.querySelectorAll("main .toast")) show(toast);
  for (const button of root.querySelectorAll("[data-plain]")) button.hidden = true;
  for (const button of root.querySelectorAll(".palette button")) button.disabled = false;
};
prepare(document);

const named = () => document.querySelector("#asset-heading h1").textContent;
const titleEnd = document.title.slice(document.title.indexOf(named()) + named().length);

const rename = () => document.querySelector("details.rename");

document.addEventListener("htmx:load", ({ target }) => prepare(target.parentNode ?? document));

// A refusal is a part of the page too. A whole page is another one: that for signing in, or an error.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const isPage = /^\s*<!doctype/i.test(detail.serverResponse);
  const isPart = !isPage && detail.xhr.getResponseHeader("Content-Type")?.startsWith("text/html");
  if (isPart && detail.xhr.status >= 400) {
    detail.shouldSwap = true;
    detail.isError = false;
  }
  if (isPage && detail.xhr.status < 400) {
    detail.shouldSwap = false;
    location.reload();
  }
});

document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.target.id === "details") {
    detail.target.querySelector("p").textContent = "The server could not look at the file just now. Reload the page to try again.";
    return;
  }
  const sentence = detail.xhr.status === 403 ? "You may not change this." : "That did not work. Reload the page and try again.";
  document.dispatchEvent(new CustomEvent("announce", { detail: sentence }));
});

document.addEventListener("htmx:sendError", () => {
  document.dispatchEvent(new CustomEvent("announce", { detail: "The server can't be reached. Nothing was changed." }));
});

// What was just asked to be made is not asked about again: a field that is left by pressing the button
// changes a moment after the press.
let makes = null;
document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt.closest("#export form");
  if (!form) return;
  const written = new URLSearchParams(new FormData(form)).toString();
  const isMaking = event.detail.requestConfig.verb === "post";
  if (!isMaking && written === makes) return event.preventDefault();
  makes = isMaking ? written : null;
});

// The code stays open in the language that was chosen.
let opened = null;
document.addEventListener("htmx:beforeSwap", () => {
  opened = [...document.querySelectorAll(".snippet[open] > summary")].map((one) => one.textContent);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const one of document.querySelectorAll(".snippet")) {
    one.open = opened?.length ? opened.includes(one.querySelector("summary").textContent) : one.open;
  }
});

let focused = null;
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  focused = detail.elt.matches(".tag-form, .tag-list form")
    ? "#asset-tag"
    : detail.elt.matches(".collection-form") ? "#asset-collection"
    : detail.elt.closest(".rename") ? "details.rename summary" : null;
});
document.addEventListener("htmx:afterSettle", () => {
  if (focused) document.querySelector(focused)?.focus();
  focused = null;
  document.title = named() + titleEnd;
  const problem = document.querySelector("#asset-name[aria-invalid]");
  problem?.focus();
});

document.addEventListener("change", ({ target }) => {
  if (target.id === "asset-collection") target.form.requestSubmit();
});

document.addEventListener("toggle", ({ target }) => {
  if (target === rename() && target.open) target.querySelector("input").select();
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !rename()?.contains(event.target)) return;
  rename().open = false;
  rename().querySelector("form").reset();
  rename().querySelector("summary").focus();
});

// What is picked from a link or a field is picked whole.
document.addEventListener("focusin", ({ target }) => {
  if (target.matches(".url .input")) target.select();
});

let asked = 0;
document.addEventListener("input", async ({ target }) => {
  if (target.id !== "asset-tag" || !target.value.trim()) return;
  const mine = ++asked;
  const url = new URL(target.dataset.suggestions, location.href);
  url.searchParams.set("beginning", target.value.trim());
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  if (!answer.ok || mine !== asked) return;
  const { tags } = await answer.json();
  document.getElementById("asset-tags").replaceChildren(
    ...tags.map((tag) => Object.assign(document.createElement("option"), { value: tag })),
  );
});
