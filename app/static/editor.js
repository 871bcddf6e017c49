// The editor: keeps a chain of steps and has the server draw what they make. What is drawn here is
// only handles: every pixel of the picture comes from the imaging engine.

const root = document.querySelector(".editor");
const image = JSON.parse(root.dataset.asset);
const { url, query, site } = root.dataset;
const LARGEST = Number(root.dataset.max);
const WAIT = 120; // milliseconds after the last change
const MOST_STEPS = 20;

const $ = (selector, within = root) => within.querySelector(selector);
const all = (selector, within = root) => [...within.querySelectorAll(selector)];
const chain = $("[data-chain]");
const canvas = $("[data-canvas]");
const overlay = $("[data-overlay]");
const picture = $("[data-picture]");
const saving = $("[data-save]");
const announce = (detail) => document.dispatchEvent(new CustomEvent("announce", { detail }));
const clamp = (value, least, most) => Math.min(Math.max(value, least), Math.max(least, most));
const whole = (value) => Math.round(value);

// ── the steps ────────────────────────────────────────────────────────────────────────────────────

const TITLES = {
  crop: "Crop", rotate: "Rotate", mirror: "Mirror", resize: "Resize", blur: "Blur",
  modulate: "Colours", watermark: "Watermark", convert: "Convert",
};
const colour = (value, clear) => (clear ? "transparent" : value);

// For each kind: its first values, given the size it starts from; the operation as the API takes it,
// or null while it is not complete; what it says in the list.
const KINDS = {
  crop: {
    first: ([width, height]) => ({ ratio: "free", left: 0, top: 0, width, height }),
    operation: (v) => ({ x1: v.left, y1: v.top, x2: v.left + v.width, y2: v.top + v.height }),
    says: (v) => `${v.width} × ${v.height}`,
  },
  rotate: {
    first: () => ({ quarter: 0, fine: 0, background: "#000000", background_clear: false }),
    operation: (v) => ({
      angle: angleOf(v),
      ...(v.fine ? { background_color: colour(v.background, v.background_clear) } : {}),
    }),
    says: (v) => `${angleOf(v)}°`,
  },
  mirror: {
    first: () => ({ mode: "horizontal" }),
    operation: (v) => ({ mode: v.mode }),
    says: (v) => ({ horizontal: "left ↔ right", vertical: "top ↕ bottom", both: "both" })[v.mode],
  },
  resize: {
    first: ([width, height]) => ({
      width, height, lock: true, by: "width", fit: "fill", position: "center",
      letterbox: "#000000", letterbox_clear: false,
    }),
    operation: (v) => {
      if (v.lock) return { [v.by]: v[v.by] };
      const fitted = v.fit === "fill" ? {} : { fit: v.fit, position: v.position };
      if (v.fit === "contain") fitted.letterbox_color = colour(v.letterbox, v.letterbox_clear);
      return { width: v.width, height: v.height, ...fitted };
    },
    says: (v) => `${v.width} × ${v.height}`,
  },
  blur: {
    first: () => ({ sigma: 5 }),
    operation: (v) => ({ sigma: v.sigma }),
    says: (v) => `${v.sigma} px`,
  },
  modulate: {
    first: () => ({ brightness: 1, saturation: 1, hue: 0, lightness: 0 }),
    operation: (v) => ({ ...v }),
    says: (v) => `${v.brightness} · ${v.saturation} · ${v.hue}° · ${v.lightness}`,
  },
  watermark: {
    first: () => ({ mark: null, left: 0, top: 0, width: 0, height: 0, lock: true, repeat: "no_repeat" }),
    operation: (v) => v.mark && {
      watermarks: [{
        id: v.mark.id, left: v.left, top: v.top, width: v.width, height: v.height,
        ...(v.repeat === "no_repeat" ? {} : { repetition_mode: v.repeat }),
      }],
    },
    says: (v) => (v.mark ? v.mark.name : "no picture yet"),
  },
  convert: {
    first: () => ({ format: "webp", by_hand: false, quality: 80 }),
    operation: (v) => ({ format: v.format, ...(v.by_hand ? { quality: v.quality } : {}) }),
    says: (v) => (v.by_hand ? `${v.format.toUpperCase()} · ${v.quality}` : v.format.toUpperCase()),
  },
};
const angleOf = (v) => whole(((((v.quarter * 90 + v.fine) % 360) + 360) % 360) * 10) / 10;

const STORED = `editor ${image.id}`;
const stored = () => {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? {};
  } catch {
    return {};
  }
};
const state = { steps: [], chosen: null, ...stored() };
if (!Array.isArray(state.steps) || state.steps.some(({ kind }) => !KINDS[kind])) state.steps = [];
const past = [];
const future = [];
let sizes = [[image.width, image.height]]; // before the first operation that is on, and after each
let problems = {}; // number of the step → sentence

const active = () => state.steps.filter((step) => step.on && operationOf(step));
const operationOf = (step) => {
  const operation = KINDS[step.kind].operation(step.values);
  return operation && { [step.kind]: operation };
};
const operations = () => active().map(operationOf);
const chosen = () => state.steps.find((step) => step.id === state.chosen);
// The size of the picture that a step gets.
const sizeBefore = (step) => {
  const before = state.steps.slice(0, state.steps.indexOf(step)).filter((one) => active().includes(one));
  return sizes[Math.min(before.length, sizes.length - 1)];
};
const snapshot = () => JSON.stringify(state.steps);
let kept = snapshot();

// A change that undo takes back as one.
const commit = () => {
  const now = snapshot();
  if (now !== kept) {
    past.push(kept);
    future.length = 0;
    kept = now;
  }
  changed();
};

// A change on the way, such as a drag.
const changed = () => {
  try {
    sessionStorage.setItem(STORED, JSON.stringify({ steps: state.steps, chosen: state.chosen }));
  } catch {
    // Full or forbidden: the chain then does not outlast a reload.
  }
  describe();
  soon();
};

const travel = (from, to) => {
  if (!from.length) return;
  to.push(kept);
  kept = from.pop();
  state.steps = JSON.parse(kept);
  if (!chosen()) state.chosen = null;
  render();
  changed();
};

const add = (kind) => {
  if (state.steps.length >= MOST_STEPS) {
    announce(`A chain has at most ${MOST_STEPS} steps.`);
    return;
  }
  const step = { id: `${Date.now()}-${state.steps.length}`, kind, on: true };
  state.steps.push({ ...step, values: KINDS[kind].first(sizes.at(-1)) });
  state.chosen = step.id;
  render();
  commit();
  $(".step .title[aria-expanded=true]")?.focus({ preventScroll: true });
  if (kind === "watermark") choosePicture();
};

// ── the list ─────────────────────────────────────────────────────────────────────────────────────

const copyOf = (id) => document.getElementById(id).content.cloneNode(true);

const render = () => {
  chain.replaceChildren(
    ...state.steps.map((step, number) => {
      const item = copyOf("step").firstElementChild;
      item.dataset.id = step.id;
      const title = TITLES[step.kind];
      $(".title b", item).textContent = `${number + 1}. ${title}`;
      item.classList.toggle("off", !step.on);
      const named = { up: "Move up", down: "Move down", switch: "Switch off", remove: "Remove" };
      for (const button of all("[data-step]", item)) {
        const name = `${named[button.dataset.step]}: ${title}`;
        button.setAttribute("aria-label", name);
        button.title = named[button.dataset.step];
      }
      $("[data-step=switch]", item).setAttribute("aria-pressed", String(!step.on));
      $("[data-step=up]", item).disabled = number === 0;
      $("[data-step=down]", item).disabled = number === state.steps.length - 1;
      if (step.id === state.chosen) open(item, step);
      return item;
    }),
  );
  describe();
};

const open = (item, step) => {
  const controls = $(".controls", item);
  controls.replaceChildren(copyOf(`controls-${step.kind}`));
  controls.hidden = false;
  $(".title", item).setAttribute("aria-expanded", "true");
};

// Everything that follows from the steps, without touching what has the focus.
const describe = () => {
  const on = active();
  for (const [number, step] of state.steps.entries()) {
    const item = chain.children[number];
    if (!item) continue;
    $(".title small", item).textContent = step.on ? KINDS[step.kind].says(step.values) : "off";
    const line = $(".error-line", item);
    const problem = problems[on.indexOf(step)];
    line.hidden = !problem || !step.on;
    if (!line.hidden) $("span", line).textContent = problem;
  }
  $("[data-empty]").hidden = state.steps.length > 0;
  $("[data-do=undo]", document).disabled = !past.length;
  $("[data-do=redo]", document).disabled = !future.length;
  $("button", saving).disabled = !on.length;
  fill();
  place();
  writeCode();
};

// The chosen step's values into its controls.
const fill = () => {
  const step = chosen();
  const controls = $(".controls:not([hidden])", chain);
  if (!step || !controls) return;
  const { values } = step;
  for (const control of all("input, select", controls)) {
    const name = control.dataset.for ?? control.name;
    if (!(name in values)) {
      if (name.endsWith("_clear") || name === "") continue;
    }
    const value = values[name];
    if (control === document.activeElement && control.type === "number") continue;
    if (control.type === "checkbox") control.checked = Boolean(value);
    else if (control.type === "radio") control.checked = control.value === value;
    else control.value = value;
  }
  limit(step, controls);
};

const limit = (step, controls) => {
  const { values, kind } = step;
  const show = (selector, shown) => {
    const part = $(selector, controls);
    if (part) part.hidden = !shown;
  };
  if (kind === "crop") {
    const [width, height] = sizeBefore(step);
    $("[name=left]", controls).max = width - 1;
    $("[name=top]", controls).max = height - 1;
    $("[name=width]", controls).max = width - values.left;
    $("[name=height]", controls).max = height - values.top;
  }
  if (kind === "resize") {
    show("[data-unlocked]", !values.lock);
    show("[data-fitted]", values.fit !== "fill");
    show("[data-barred]", values.fit === "contain");
  }
  if (kind === "convert") {
    show("[data-quality]", values.by_hand);
    show("[data-gif]", values.format === "gif");
  }
  if (kind === "watermark") {
    const mark = $("[data-mark]", controls);
    mark.hidden = !values.mark;
    if (values.mark && mark.dataset.id !== values.mark.id) {
      mark.dataset.id = values.mark.id;
      mark.src = values.mark.thumbnail;
    }
    $("[data-mark-name]", controls).textContent = values.mark?.name ?? "No picture chosen.";
  }
};

// ── the controls ─────────────────────────────────────────────────────────────────────────────────

const RATIOS = { original: () => image.width / image.height };
const ratioOf = (text) => {
  if (text === "free") return null;
  if (RATIOS[text]) return RATIOS[text]();
  const [across, down] = text.split(":").map(Number);
  return across / down;
};

// A crop inside the picture, with its ratio; `by` is the side that was set.
const cropped = (values, [width, height], by = "width") => {
  const ratio = ratioOf(values.ratio);
  values.left = clamp(whole(values.left), 0, width - 1);
  values.top = clamp(whole(values.top), 0, height - 1);
  values.width = clamp(whole(values.width), 1, width - values.left);
  values.height = clamp(whole(values.height), 1, height - values.top);
  if (!ratio) return;
  if (by === "height") values.width = clamp(whole(values.height * ratio), 1, width - values.left);
  values.height = clamp(whole(values.width / ratio), 1, height - values.top);
  values.width = clamp(whole(values.height * ratio), 1, width - values.left);
};

const apply = (step, name, value) => {
  const { values, kind } = step;
  values[name] = value;
  const size = sizeBefore(step);
  if (kind === "crop") {
    if (name === "ratio" && value !== "free") {
      // As large as it fits around the same middle.
      const ratio = ratioOf(value);
      const [x, y] = [values.left + values.width / 2, values.top + values.height / 2];
      const across = Math.min(size[0], size[1] * ratio, Math.max(values.width, values.height * ratio));
      values.width = across;
      values.height = across / ratio;
      values.left = clamp(x - values.width / 2, 0, size[0] - values.width);
      values.top = clamp(y - values.height / 2, 0, size[1] - values.height);
    }
    cropped(values, size, name);
  }
  if (kind === "resize") {
    values.width = clamp(whole(values.width), 1, LARGEST);
    values.height = clamp(whole(values.height), 1, LARGEST);
    if (name === "width" || name === "height") values.by = name;
    if (values.lock) keepRatio(values, size);
  }
  if (kind === "watermark" && values.mark) {
    values.width = clamp(whole(values.width), 1, LARGEST);
    values.height = clamp(whole(values.height), 1, LARGEST);
    values.by = name === "height" ? "height" : "width";
    if (values.lock) keepRatio(values, [values.mark.width, values.mark.height]);
    values.left = clamp(whole(values.left), -2 * LARGEST, 2 * LARGEST);
    values.top = clamp(whole(values.top), -2 * LARGEST, 2 * LARGEST);
  }
};

const keepRatio = (values, [width, height]) => {
  if (values.by === "height") values.width = clamp(whole((values.height * width) / height), 1, LARGEST);
  else values.height = clamp(whole((values.width * height) / width), 1, LARGEST);
};

const valueOf = (control) => {
  if (control.type === "checkbox") return control.checked;
  if (control.type !== "number" && control.type !== "range") return control.value;
  if (control.value === "" || !Number.isFinite(control.valueAsNumber)) return null;
  const value = clamp(
    control.valueAsNumber,
    control.min === "" ? -Infinity : Number(control.min),
    control.max === "" ? Infinity : Number(control.max),
  );
  return control.step === "1" ? whole(value) : value;
};

chain.addEventListener("input", ({ target }) => {
  const step = chosen();
  const name = target.dataset.for ?? target.name;
  const value = step && name ? valueOf(target) : null;
  if (value === null) return;
  apply(step, name, value);
  changed();
});

chain.addEventListener("change", ({ target }) => {
  target.blur === undefined || fillAgain(target);
  commit();
});
// A number that was typed beyond its bounds is shown as it counts.
const fillAgain = (control) => {
  const step = chosen();
  const value = step?.values[control.name];
  if (control.type === "number" && value !== undefined) control.value = value;
};

chain.addEventListener("click", ({ target }) => {
  const item = target.closest(".step");
  const step = item && state.steps.find(({ id }) => id === item.dataset.id);
  if (!step) return;
  if (target.closest(".title")) {
    state.chosen = state.chosen === step.id ? null : step.id;
    render();
    changed();
    focusOn(step, ".title");
  }
  const turn = target.closest("[data-turn]");
  if (turn) {
    step.values.quarter = (step.values.quarter + Number(turn.dataset.turn) / 90 + 4) % 4;
    commit();
  }
  if (target.closest("[data-pick]")) choosePicture();
  const button = target.closest("[data-step]");
  if (button) change(step, button.dataset.step);
});

const change = (step, what) => {
  const number = state.steps.indexOf(step);
  if (what === "remove") state.steps.splice(number, 1);
  if (what === "switch") step.on = !step.on;
  if (what === "up" || what === "down") {
    state.steps.splice(number, 1);
    state.steps.splice(number + (what === "up" ? -1 : 1), 0, step);
  }
  if (!chosen()) state.chosen = null;
  render();
  commit();
  if (what === "remove") $("[data-add]").focus();
  else focusOn(step, `[data-step=${what}]:not(:disabled), .title`);
};

const focusOn = (step, selector) => {
  const item = all(".step", chain).find(({ dataset }) => dataset.id === step.id);
  if (item) $(selector, item)?.focus();
};

const { Sortable } = await import(root.dataset.sortable);
Sortable.create(chain, {
  handle: ".grip",
  forceFallback: true, // by pointer: the same on every screen
  animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 160,
  onEnd: () => {
    const order = all(".step", chain).map(({ dataset }) => dataset.id);
    state.steps.sort((one, other) => order.indexOf(one.id) - order.indexOf(other.id));
    render();
    commit();
  },
});

for (const button of all("[data-add]")) button.addEventListener("click", () => add(button.dataset.add));
$("[data-do=undo]", document).addEventListener("click", () => travel(past, future));
$("[data-do=redo]", document).addEventListener("click", () => travel(future, past));
addEventListener("keydown", (event) => {
  const typed = event.target.closest?.("input:is([type=text], [type=search]), textarea, dialog");
  if (typed || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  if (key === "y" || event.shiftKey) travel(future, past);
  else travel(past, future);
});

// ── the preview ──────────────────────────────────────────────────────────────────────────────────

let timer = 0;
let asking = null;
let original = null; // a promise of the URL of the picture without any step
let shown = ""; // what the picture shows, as it was asked for

// A crop is placed on what it gets, a watermark on what it makes.
const seen = () => {
  const step = chosen();
  const on = active();
  const number = on.indexOf(step);
  if (!step?.on || number < 0) return on.length;
  if (step.kind === "crop") return number;
  return step.kind === "watermark" ? number + 1 : on.length;
};

const side = () => {
  const box = canvas.getBoundingClientRect();
  const longest = Math.max(box.width, innerHeight * 0.7) * Math.min(devicePixelRatio, 2);
  return clamp(Math.ceil(longest / 100) * 100, 200, 1600);
};

const soon = () => {
  clearTimeout(timer);
  timer = setTimeout(ask, WAIT);
};

const post = (path, body, options = {}) =>
  fetch(`${url}${path}${query}`, {
    method: "POST",
    body: JSON.stringify(body),
    ...options,
    headers: { "Content-Type": "application/json", Accept: "application/json", ...options.headers },
  });

const ask = async () => {
  const body = { operations: operations(), shown: seen(), side: side() };
  const wanted = JSON.stringify(body);
  if (wanted === shown && !Object.keys(problems).length) return;
  asking?.abort();
  const mine = (asking = new AbortController());
  canvas.setAttribute("aria-busy", "true");
  try {
    const answer = await post("/preview", body, { signal: mine.signal });
    if (answer.ok) await show(answer, mine);
    else refuse(await answer.json().catch(() => ({})), answer);
    if (answer.ok) shown = wanted;
  } catch (error) {
    if (mine.signal.aborted) return;
    refuse({ error: "The server can't be reached. What you see is the last preview." });
  }
  if (asking === mine) {
    asking = null;
    canvas.removeAttribute("aria-busy");
    $("[data-wait]").hidden = true;
  }
};

const show = async (answer, mine) => {
  const blob = await answer.blob();
  const next = new Image();
  const source = URL.createObjectURL(blob);
  next.src = source;
  await next.decode();
  if (mine.signal.aborted) return URL.revokeObjectURL(source);
  sizes = answer.headers.get("X-Image-Sizes").split(" ").map((size) => size.split("x").map(Number));
  problems = {};
  note(JSON.parse(answer.headers.get("X-Image-Problems") ?? "[]"));
  draw(source);
  describe();
};

// The last preview stays until the next one is there.
const draw = (source) => {
  const last = picture.src;
  picture.src = source;
  picture.hidden = false;
  const [width, height] = sizes[Math.min(seen(), sizes.length - 1)];
  picture.width = width;
  picture.height = height;
  canvas.style.setProperty("--ratio", width / height);
  canvas.style.setProperty("--across", `${width}px`);
  picture.alt = `${image.name}, after ${seen()} of ${state.steps.length} steps`;
  if (last && last !== source) URL.revokeObjectURL(last);
  place();
  const final = sizes.at(-1);
  $("[data-size]").textContent = `${final[0].toLocaleString("en")} × ${final[1].toLocaleString("en")} pixels`;
  const step = chosen();
  const early = step && seen() < active().length;
  $("[data-note]").textContent = !early ? ""
    : step.kind === "crop" ? "Shown before this crop, to place it." : "Shown as it is after this step.";
  say(null);
};

// `operations.1.crop.x2: must be …` belongs to the second step that is on.
const note = (errors) => {
  for (const problem of errors) {
    const [, number, sentence] = /^operations\.(\d+)[^:]*: (.*)$/.exec(problem) ?? [];
    if (number && !problems[number]) problems[number] = sentence[0].toUpperCase() + sentence.slice(1);
  }
};

const refuse = (body, answer) => {
  problems = {};
  note(body.errors ?? []);
  describe();
  const nowhere = !Object.keys(problems).length;
  say(nowhere ? (body.error ?? "The preview could not be made. Try again.") : null);
  if (answer?.status === 503) setTimeout(soon, 1000 * Number(answer.headers.get("Retry-After") ?? 2));
};

const line = (selector, text) => {
  const place = $(selector);
  place.hidden = !text;
  if (text) $("span", place).textContent = text;
};
const say = (text) => line("[data-problem]", text);

const compare = $("[data-do=compare]", document);
const withoutSteps = () => {
  original ??= post("/preview", { operations: [], side: side() })
    .then((answer) => (answer.ok ? answer.blob() : Promise.reject(new Error(answer.status))))
    .then((blob) => URL.createObjectURL(blob))
    .catch(() => (original = null));
  return original;
};
let over = null;
const hold = async () => {
  if (over) return;
  over = document.createElement("img");
  over.className = "checkerboard original";
  over.alt = `${image.name}, the original`;
  const mine = over;
  const source = await withoutSteps();
  if (!source || over !== mine) return;
  mine.src = source;
  await mine.decode().catch(() => null);
  if (over === mine) canvas.append(mine);
};
const release = () => {
  over?.remove();
  over = null;
};
compare.addEventListener("pointerdown", hold);
for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) compare.addEventListener(end, release);
compare.addEventListener("keydown", ({ key }) => (key === " " || key === "Enter") && hold());
compare.addEventListener("keyup", release);
compare.addEventListener("contextmenu", (event) => event.preventDefault());

// ── handles on the picture ───────────────────────────────────────────────────────────────────────

const CORNERS = {
  "top left": [-1, -1], top: [0, -1], "top right": [1, -1], right: [1, 0],
  "bottom right": [1, 1], bottom: [0, 1], "bottom left": [-1, 1], left: [-1, 0],
};
const SINGLE = { "bottom right": [1, 1] };

// How many pixels of the true picture one pixel of the screen is.
const scale = () => {
  const [width] = sizes[Math.min(seen(), sizes.length - 1)];
  return width / (picture.getBoundingClientRect().width || 1);
};

const frame = document.createElement("div");
frame.className = "frame";
const body = document.createElement("button");
body.type = "button";
body.className = "body";
frame.append(body);
const handles = Object.entries(CORNERS).map(([name, [x, y]]) => {
  const handle = document.createElement("button");
  handle.type = "button";
  handle.className = `handle x${x} y${y}`;
  handle.dataset.x = x;
  handle.dataset.y = y;
  handle.setAttribute("aria-label", `Move the ${name} ${x && y ? "corner" : "edge"}`);
  frame.append(handle);
  return [name, handle];
});
overlay.append(frame);

const framed = () => {
  const step = chosen();
  const can = step?.on && (step.kind === "crop" || (step.kind === "watermark" && step.values.mark));
  return can ? step : null;
};

const place = () => {
  const step = framed();
  overlay.hidden = !step || picture.hidden;
  if (overlay.hidden) return;
  const [width, height] = sizes[Math.min(seen(), sizes.length - 1)];
  const { values, kind } = step;
  frame.classList.toggle("crop", kind === "crop");
  body.setAttribute("aria-label", kind === "crop" ? "Move the crop" : "Move the watermark");
  for (const [name, handle] of handles) handle.hidden = kind !== "crop" && !SINGLE[name];
  const set = (side, share) => frame.style.setProperty(side, `${100 * share}%`);
  set("left", values.left / width);
  set("top", values.top / height);
  set("width", values.width / width);
  set("height", values.height / height);
};

// Move the frame (x = y = 0) or one of its sides by so many pixels of the true picture.
const drag = (step, start, x, y, across, down) => {
  const { values, kind } = step;
  const [width, height] = sizeBefore(step);
  if (kind === "watermark") {
    if (!x && !y) Object.assign(values, { left: whole(start.left + across), top: whole(start.top + down) });
    else {
      values.height = whole(Math.max(1, start.height + down));
      apply(step, "width", Math.max(1, start.width + across));
    }
    return;
  }
  if (!x && !y) {
    values.left = clamp(whole(start.left + across), 0, width - start.width);
    values.top = clamp(whole(start.top + down), 0, height - start.height);
    return;
  }
  let left = start.left;
  let top = start.top;
  let right = left + start.width;
  let bottom = top + start.height;
  if (x < 0) left = clamp(left + across, 0, right - 1);
  if (x > 0) right = clamp(right + across, left + 1, width);
  if (y < 0) top = clamp(top + down, 0, bottom - 1);
  if (y > 0) bottom = clamp(bottom + down, top + 1, height);
  const ratio = ratioOf(values.ratio);
  if (ratio) {
    // The side that was not moved follows; the opposite corner stays.
    let wide = right - left;
    if (!x || (y && (bottom - top) * ratio > wide)) wide = (bottom - top) * ratio;
    const roomX = x < 0 ? right : width - left;
    const roomY = y < 0 ? bottom : height - top;
    wide = Math.max(1, Math.min(wide, roomX, roomY * ratio));
    if (x < 0) left = right - wide;
    else right = left + wide;
    if (y < 0) top = bottom - wide / ratio;
    else bottom = top + wide / ratio;
  }
  values.left = clamp(whole(left), 0, width - 1);
  values.top = clamp(whole(top), 0, height - 1);
  values.width = clamp(whole(right) - values.left, 1, width - values.left);
  values.height = clamp(whole(bottom) - values.top, 1, height - values.top);
};

overlay.addEventListener("pointerdown", (event) => {
  const grip = event.target.closest("button");
  const step = framed();
  if (!grip || !step || event.button) return;
  event.preventDefault();
  grip.focus({ preventScroll: true });
  grip.setPointerCapture(event.pointerId);
  const start = { ...step.values };
  const factor = scale();
  const [x, y] = [Number(grip.dataset.x ?? 0), Number(grip.dataset.y ?? 0)];
  const move = (moved) => {
    drag(step, start, x, y, (moved.clientX - event.clientX) * factor, (moved.clientY - event.clientY) * factor);
    fill();
    place();
    if (step.kind === "watermark") changed();
  };
  const end = () => {
    grip.removeEventListener("pointermove", move);
    commit();
  };
  grip.addEventListener("pointermove", move);
  grip.addEventListener("lostpointercapture", end, { once: true });
});

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
overlay.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  const step = framed();
  if (!arrow || !step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const { x = 0, y = 0 } = event.target.dataset;
  const by = event.shiftKey ? 10 : 1;
  drag(step, { ...step.values }, Number(x), Number(y), arrow[0] * by, arrow[1] * by);
  changed();
});
overlay.addEventListener("keyup", ({ key }) => ARROWS[key] && commit());
new ResizeObserver(place).observe(canvas);

// ── the picture of a watermark ───────────────────────────────────────────────────────────────────

const dialog = document.getElementById("pictures");
const choice = $("[data-choice]", dialog);
const search = $("input", dialog);
let looking = 0;

const choosePicture = () => {
  dialog.showModal();
  search.focus();
  look();
};

const look = async () => {
  const mine = ++looking;
  const asked = new URLSearchParams(query);
  asked.set("q", search.value);
  const said = $("[data-choice-note]", dialog);
  try {
    const answer = await fetch(`${url}/pictures?${asked}`, { headers: { Accept: "application/json" } });
    const found = await answer.json();
    if (mine !== looking) return;
    if (!answer.ok) throw new Error(found.error);
    said.textContent = found.length ? "" : "No other picture is called that. Upload one to the library first.";
    choice.replaceChildren(...found.map(entry));
  } catch (error) {
    if (mine === looking) said.textContent = error.message || "The list can't be loaded. Try again.";
  }
};

const entry = (mark) => {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const thumbnail = document.createElement("img");
  const name = document.createElement("span");
  button.type = "button";
  Object.assign(thumbnail, { src: mark.thumbnail, alt: "", width: mark.width, height: mark.height, loading: "lazy" });
  thumbnail.className = "checkerboard";
  name.textContent = mark.name;
  button.append(thumbnail, name);
  button.addEventListener("click", () => choose(mark));
  item.append(button);
  return item;
};

const choose = (mark) => {
  dialog.close();
  const step = chosen();
  if (step?.kind !== "watermark") return;
  const [width, height] = sizeBefore(step);
  const { values } = step;
  values.mark = mark;
  // A quarter of the width, in the lower right corner.
  values.by = "width";
  values.width = clamp(whole(Math.min(width / 4, (height / 4) * (mark.width / mark.height))), 1, LARGEST);
  keepRatio(values, [mark.width, mark.height]);
  const margin = whole(Math.min(width, height) / 40);
  values.left = width - values.width - margin;
  values.top = height - values.height - margin;
  commit();
  focusOn(step, "[data-pick]");
};

let pause = 0;
search.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(look, 150);
});
search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());

// ── saving ───────────────────────────────────────────────────────────────────────────────────────

// The same body is sent under the same key until it has been saved, so that a repetition after a
// lost connection finds the image that the first attempt made.
const keyFor = (text) => {
  const name = `${STORED} key`;
  const last = JSON.parse(sessionStorage.getItem(name) ?? "{}");
  if (last.text === text) return last.key;
  const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  sessionStorage.setItem(name, JSON.stringify({ text, key }));
  return key;
};

const make = async (path, body, problem, button, follow) => {
  line(problem, null);
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    const key = keyFor(path + JSON.stringify(body));
    const answer = await post(path, body, { headers: { "Idempotency-Key": key } });
    const made = await answer.json().catch(() => ({}));
    if (answer.ok) {
      sessionStorage.removeItem(`${STORED} key`);
      return follow(made);
    }
    note(made.errors ?? []);
    describe();
    line(problem, made.error ?? "It was not saved. Try again.");
  } catch {
    line(problem, "The server can't be reached. Nothing is lost: try again.");
  }
  button.disabled = false;
  button.removeAttribute("aria-busy");
};

saving.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = saving.elements.name.value.trim();
  if (!name) {
    line("[data-save-problem]", "Give the new image a name.");
    saving.elements.name.focus();
    return;
  }
  make("", { name, operations: operations() }, "[data-save-problem]", $("button", saving), (made) => {
    sessionStorage.removeItem(STORED);
    location.assign(made.url);
  });
});

const background = $("[data-do=background]");
background.addEventListener("click", () => {
  const name = saving.elements.name.value.trim();
  make("/remove-background", name ? { name } : {}, "[data-background-problem]", background, (made) =>
    location.assign(made.edit),
  );
});

// ── the same as a request ────────────────────────────────────────────────────────────────────────

const KEY = query ? "YOUR_TEST_KEY" : "YOUR_API_KEY";
const python = (value) =>
  JSON.stringify(value, null, 2).replaceAll(/(: |\[\n? *)(true|false|null)\b/g, (_, before, word) =>
    before + { true: "True", false: "False", null: "None" }[word],
  );
const WRITTEN = {
  curl: (address, body) =>
    `curl ${address} \\\n  -H "Authorization: Bearer ${KEY}" \\\n  -H "Content-Type: application/json" \\\n` +
    `  -d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`,
  python: (address, body) =>
    `import requests\n\nimage = requests.post(\n    "${address}",\n` +
    `    headers={"Authorization": "Bearer ${KEY}"},\n    json=${python(body).replaceAll("\n", "\n    ")},\n).json()`,
  javascript: (address, body) =>
    `const answer = await fetch("${address}", {\n  method: "POST",\n  headers: {\n` +
    `    "Authorization": "Bearer ${KEY}",\n    "Content-Type": "application/json",\n  },\n` +
    `  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}),\n});\n` +
    "const image = await answer.json();",
};

const writeCode = () => {
  const language = $("[name=language]:checked").value;
  const address = `${site}/v1/images/${image.id}/transform`;
  const text = WRITTEN[language](address, { operations: operations() });
  $(".as-code pre").textContent = text;
  $(".as-code [data-copy]").dataset.copy = text;
};
for (const radio of all("[name=language]")) radio.addEventListener("change", writeCode);

for (const part of all("[data-scripted]", document)) part.hidden = false;
render();
ask();
