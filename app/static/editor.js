// The editor: keeps a chain of steps and has the server draw what they make. What is drawn here is
// only handles: every pixel of the picture comes from the imaging engine.

const root = document.querySelector(".editor");
const image = JSON.parse(root.dataset.asset);
const { query, site } = root.dataset;
const parts = ["steps", "handles", "requests", "code", "sortable"];
const [steps, { Handles }, { Memory, Server, saysOf }, { written }, { Sortable }] = await Promise.all(
  parts.map((name) => import(root.dataset[name])),
);
const { KINDS, TITLES, apply, clamp, drag, settle, sizeAfter, valueOf } = steps;
const memory = new Memory(`editor ${image.id}`);
const server = new Server(root.dataset, memory);
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

// ── the steps ────────────────────────────────────────────────────────────────────────────────────

const state = { steps: [], chosen: null, ...memory.get("chain") };
if (!Array.isArray(state.steps) || state.steps.some(({ kind }) => !KINDS[kind])) state.steps = [];
const past = [];
const future = [];
// Before the first operation that is on, and after each, as the server last told them.
let sizes = [[image.width, image.height]];
let problems = {}; // number of the step → sentence

const active = () => state.steps.filter((step) => step.on && operationOf(step));
const operationOf = (step) => {
  const operation = KINDS[step.kind].operation(step.values);
  return operation && { [step.kind]: operation };
};
const operations = () => active().map(operationOf);
const chosen = () => state.steps.find((step) => step.id === state.chosen);
// The size of the picture that a step gets; without one, of what comes of all.
const sizeBefore = (step) => {
  const on = active();
  const number = step ? state.steps.indexOf(step) : state.steps.length;
  return state.steps
    .slice(0, number)
    .filter((one) => on.includes(one))
    .reduce((size, one) => sizeAfter(one, size), [image.width, image.height]);
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
  memory.set("chain", { steps: state.steps, chosen: state.chosen });
  describe();
  soon();
};

const travel = (from, to) => {
  if (!from.length) return;
  to.push(kept);
  kept = from.pop();
  state.steps = JSON.parse(kept);
  if (!chosen()) state.chosen = null;
  const within = chain.contains(document.activeElement);
  render();
  changed();
  if (within) (chosen() ? () => focusOn(chosen(), ".title") : () => $("[data-add]").focus())();
};

const add = (kind) => {
  if (state.steps.length >= MOST_STEPS) {
    announce(`A chain has at most ${MOST_STEPS} steps.`);
    return;
  }
  const step = { id: `${Date.now()}-${state.steps.length}`, kind, on: true };
  state.steps.push({ ...step, values: KINDS[kind].first(sizeBefore(), image.width / image.height) });
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
  handles.place();
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
    $("[data-mark-name]", controls).textContent = values.mark?.name ?? "No image chosen.";
  }
};

// ── the controls ─────────────────────────────────────────────────────────────────────────────────

chain.addEventListener("input", ({ target }) => {
  const step = chosen();
  const name = target.dataset.for ?? target.name;
  const value = step && name ? valueOf(target) : null;
  if (value === null) return;
  apply(step, name, value, sizeBefore(step));
  changed();
});

chain.addEventListener("change", ({ target }) => {
  fillAgain(target);
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

const ask = async () => {
  const body = { operations: operations(), shown: seen(), side: side() };
  const wanted = JSON.stringify(body);
  asking?.abort();
  asking = null;
  if (wanted === shown) return canvas.removeAttribute("aria-busy");
  const mine = (asking = new AbortController());
  canvas.setAttribute("aria-busy", "true");
  try {
    const answer = await server.post("/preview", body, { signal: mine.signal });
    if (answer.ok) await show(answer, mine);
    else refuse(await answer.json().catch(() => ({})), answer);
    if (answer.ok) shown = wanted;
  } catch (error) {
    if (mine.signal.aborted) return;
    refuse({ error: saysOf(error, "What you see is the last preview.") });
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

// The canvas has the size of what will be drawn on it.
const stretch = ([width, height]) => {
  canvas.style.setProperty("--ratio", width / height);
  canvas.style.setProperty("--across", `${width}px`);
};

// The last preview stays until the next one is there.
const draw = (source) => {
  const last = picture.src;
  picture.src = source;
  picture.hidden = false;
  const size = sizes[Math.min(seen(), sizes.length - 1)];
  [picture.width, picture.height] = size;
  stretch(size);
  picture.alt = `${image.name}, after ${seen()} of ${state.steps.length} steps`;
  if (last && last !== source) URL.revokeObjectURL(last);
  handles.place();
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
  shown = "";
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
  original ??= server
    .post("/preview", { operations: [], side: side() })
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

const subject = () => {
  const step = chosen();
  const can = step?.on && (step.kind === "crop" || (step.kind === "watermark" && step.values.mark));
  return can ? { step, size: sizes[Math.min(seen(), sizes.length - 1)] } : null;
};

const handles = new Handles(overlay, picture, {
  subject,
  move: (step, ...by) => {
    drag(step, ...by, sizeBefore(step));
    changed();
  },
  done: commit,
});

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
  const said = $("[data-choice-note]", dialog);
  try {
    const found = await server.pictures(search.value);
    if (mine !== looking) return;
    said.textContent = found.length ? "" : "No other image is called that. Upload one to the library first.";
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
  settle(step.values, mark, sizeBefore(step));
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

const make = async (path, body, problem, button, follow) => {
  line(problem, null);
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    const made = await server.make(path, body);
    if (made.ok) return follow(made);
    note(made.errors ?? []);
    describe();
    line(problem, made.error ?? "It was not saved. Try again.");
  } catch (error) {
    line(problem, saysOf(error, "Nothing is lost: try again."));
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
    memory.set("chain", null);
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

const writeCode = () => {
  const language = $("[name=language]:checked").value;
  const address = `${site}/v1/images/${image.id}/transform`;
  const key = query ? "YOUR_TEST_KEY" : "YOUR_API_KEY";
  const text = written(language, address, { operations: operations() }, key);
  $(".as-code pre").textContent = text;
  $(".as-code [data-copy]").dataset.copy = text;
};
for (const radio of all("[name=language]")) radio.addEventListener("change", writeCode);

stretch(sizeBefore(chosen()));
for (const part of all("[data-scripted]", document)) part.hidden = false;
render();
ask();
