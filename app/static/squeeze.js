// The playground: files are sent one by one, a few at a time, and their results stay in this page.
// Of hundreds of files only the one that is looked at is decoded; the others are small drawings.

const AT_ONCE = 3;
const MOST_FILES = 500;
const AUTOMATIC = 3; // so many files follow the settings by themselves, unless that costs something
const SETTLE = 500; // milliseconds without another change before files are sent again
const MOST_TRIES = 5;
const LONGEST_WAIT = 30; // seconds after which the server may ask us to come back
const SAME_AGAIN = new Set([400, 404, 413, 415, 422]); // the same file would be refused again
const STOPS_ALL = new Set(["trial_over", "monthly_limit_reached", "quota_exceeded", "cap_reached"]);

const root = document.querySelector(".squeeze");
const { archive, viewer, snippets } = root.dataset;
const mode = () => root.dataset.mode;
const one = (selector, within = root) => within.querySelector(selector);
const list = one(".results");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const items = [];
let chosen = null;
let shownUrls = [];
let stage = null;

// ── words ────────────────────────────────────────────────────────────────────────────────────────

const size = (bytes) => {
  let [amount, unit] = [bytes, "bytes"];
  for (const larger of ["KB", "MB", "GB"]) {
    if (Math.round(amount) < 1000) break;
    [amount, unit] = [amount / 1024, larger];
  }
  const digits = unit === "bytes" || amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
  return `${amount.toLocaleString("en", { maximumFractionDigits: digits })} ${unit}`;
};

const change = (before, after) => {
  const percent = Math.round((100 * (before - after)) / (before || 1));
  return percent > 0 ? `−${percent} %` : percent < 0 ? `+${-percent} %` : "0 %";
};

const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
const announce = (detail) => document.dispatchEvent(new CustomEvent("announce", { detail }));
const kindOf = (mime) => mime.replace("image/", "").replace("jpg", "jpeg").toUpperCase();

const token = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// ── settings ─────────────────────────────────────────────────────────────────────────────────────

const settings = () => {
  const form = new FormData(root);
  const fields = ["quality", "mimeType", "maxWidth", "maxHeight"];
  return Object.fromEntries(fields.map((name) => [name, form.get(name)]).filter(([, value]) => value));
};

const valid = () => [...root.querySelectorAll(".settings input")].every((input) => input.validity.valid);
const named = (fields) => JSON.stringify([mode(), fields]);
const stale = () => {
  const present = named(settings());
  return items.filter(({ result, asked, state }) => result && asked !== present && state !== "waiting");
};

// ── one file ─────────────────────────────────────────────────────────────────────────────────────

const states = {
  waiting: () => "Waiting",
  sending: (item) => `Uploading · ${Math.floor(100 * item.sent)} %`,
  working: () => "Working…",
  done: ({ file, result }) =>
    [
      `${size(file.size)} → ${size(result.blob.size)}`,
      `${result.width} × ${result.height}`,
      kindOf(result.blob.type),
      ...(result.kept ? ["as small as it gets"] : []),
    ].join(" · "),
  failed: (item) => item.problem,
};

const draw = (item) => {
  const { card, state, result, file } = item;
  const busy = state === "sending" || state === "working";
  card.className = `result ${state}`;
  card.setAttribute("aria-busy", String(busy));
  one("[data-state]", card).textContent = states[state](item);
  const progress = one("progress", card);
  progress.hidden = !busy;
  if (state === "sending") progress.value = item.sent;
  else progress.removeAttribute("value");
  const saving = one("[data-saving]", card);
  saving.hidden = !result;
  if (result) {
    saving.textContent = change(file.size, result.blob.size);
    saving.classList.toggle("good", result.blob.size < file.size);
  }
  one("[data-act=cancel]", card).hidden = !busy && state !== "waiting";
  one("[data-act=remove]", card).hidden = busy || state === "waiting";
  one("[data-act=retry]", card).hidden = state !== "failed" || item.final;
  one("[data-act=download]", card).hidden = !result;
  one(".look", card).disabled = !result;
};

const enter = (item, state, more = {}) => {
  Object.assign(item, { state }, more);
  draw(item);
};

const fail = (item, problem, final = false) => {
  enter(item, "failed", { problem, final, sending: null });
  reckon();
};

const make = (file) => {
  const card = one("[data-card]").content.firstElementChild.cloneNode(true);
  const item = { file, card, state: "waiting", sent: 0, tries: 0, result: null, sending: null };
  const name = one("[data-name]", card);
  name.textContent = name.title = file.name;
  one("[data-look]", card).textContent = `Compare ${file.name}`;
  for (const button of card.querySelectorAll("[data-act]")) {
    button.setAttribute("aria-label", `${button.getAttribute("aria-label")} ${file.name}`);
  }
  card.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-act]");
    if (button) acts[button.dataset.act](item);
    else if (target.closest(".look")) {
      look(item).then(() => one(".lens").scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" }));
    }
  });
  draw(item);
  return item;
};

// ── sending ──────────────────────────────────────────────────────────────────────────────────────

const pump = () => {
  const active = items.filter((item) => item.sending).length;
  const waiting = items.filter((item) => item.state === "waiting" && !item.sending && !item.pause);
  waiting.slice(0, Math.max(0, AT_ONCE - active)).forEach(send);
};

const formOf = (file, fields) => {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, file.name);
  return form;
};

const send = (item) => {
  const fields = settings();
  // The same key for the same request: an answer that was lost comes again, and counts once.
  if (item.asked !== named(fields)) Object.assign(item, { asked: named(fields), key: token() });
  const request = new XMLHttpRequest();
  request.open("POST", root.getAttribute("action"));
  request.responseType = "blob";
  request.setRequestHeader("Accept", "application/json");
  if (mode() !== "visitor") request.setRequestHeader("Idempotency-Key", item.key);
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    if (item.sending === request) enter(item, "sending", { sent: total ? loaded / total : 0 });
  });
  request.upload.addEventListener("load", () => {
    if (item.sending === request) enter(item, "working");
  });
  request.addEventListener("load", () => item.sending === request && answered(item, request));
  request.addEventListener("error", () => {
    if (item.sending === request) fail(item, "The connection was lost. Try again: it counts once.");
    pump();
  });
  enter(item, "sending", { sent: 0, sending: request });
  request.send(formOf(item.file, fields));
};

const answered = async (item, request) => {
  const type = request.getResponseHeader("Content-Type") ?? "";
  if (request.status === 200 && type.startsWith("image/")) finish(item, request);
  else if (type.startsWith("application/json")) await refused(item, request);
  else if (request.responseURL.includes("/login")) {
    fail(item, "You were signed out. Sign in again in another tab, then try again.");
  } else fail(item, "The server’s answer was not understood. Try again.");
  reckon();
  pump();
};

const finish = (item, request) => {
  const number = (name) => Number(request.getResponseHeader(name));
  const result = {
    blob: request.response,
    width: number("X-Image-Width"),
    height: number("X-Image-Height"),
    kept: request.getResponseHeader("X-Kept-Original") === "true",
    ticket: request.getResponseHeader("X-Original-Ticket"),
  };
  enter(item, "done", { result, tries: 0, sending: null });
  tellLeft(request);
  sketch(item);
  if (!chosen || chosen === item) look(item);
  consider();
};

const refused = async (item, request) => {
  const body = JSON.parse(await request.response.text());
  const wait = Number(request.getResponseHeader("Retry-After"));
  const passes = request.status === 503 || ["rate_limited", "idempotency_in_flight"].includes(body.code);
  if (passes && wait && wait <= LONGEST_WAIT && item.tries < MOST_TRIES) return later(item, wait);
  const problem = body.error.replace(`${item.file.name}: `, "");
  fail(item, problem[0].toUpperCase() + problem.slice(1), SAME_AGAIN.has(request.status));
  if (STOPS_ALL.has(body.code)) {
    for (const other of items) if (other.state === "waiting") fail(other, problem);
    const over = one("[data-over]");
    if (over && body.code === "trial_over") over.hidden = false;
  }
  return undefined;
};

// The server is busy for the moment.
const later = (item, wait) => {
  enter(item, "waiting", { sending: null, tries: item.tries + 1 });
  item.pause = setTimeout(() => {
    item.pause = null;
    pump();
  }, wait * 1000);
};

const tellLeft = (request) => {
  const left = request.getResponseHeader("X-Images-Left");
  const place = one("[data-left]");
  if (left && place) place.textContent = Number(left).toLocaleString("en");
};

const again = (some) => {
  for (const item of some) {
    item.sending?.abort();
    enter(item, "waiting", { sending: null });
  }
  reckon();
  pump();
};

const stop = (item) => {
  const was = item.state;
  const request = item.sending;
  item.sending = null; // before abort(), whose events are for nobody then
  clearTimeout(item.pause);
  item.pause = null;
  request?.abort();
  return was;
};

const acts = {
  cancel: (item) => {
    const was = stop(item);
    const counts = was === "working" && mode() === "live";
    fail(item, counts ? "Cancelled. If the server was done already it counts; trying again is free then." : "Cancelled.");
    pump();
  },
  retry: (item) => again([item]),
  download: (item) => save(item.result.blob, names().get(item)),
  remove: (item) => {
    stop(item);
    items.splice(items.indexOf(item), 1);
    item.card.remove();
    if (chosen === item) {
      const next = items.find(({ result }) => result);
      if (next) look(next);
      else unlook();
    }
    reckon();
    pump();
  },
};

// ── looking ──────────────────────────────────────────────────────────────────────────────────────

let sketching = Promise.resolve();

// One after the other: a picture needs much more memory while it is decoded than its file.
const sketch = (item) => {
  const { blob } = item.result;
  sketching = sketching.then(async () => {
    if (item.result?.blob !== blob) return;
    const small = await createImageBitmap(blob, { resizeHeight: 96 }).catch(() => null);
    if (!small) return;
    const canvas = one("canvas", item.card);
    [canvas.width, canvas.height] = [Math.min(small.width, 192), small.height];
    canvas.getContext("2d").drawImage(small, (canvas.width - small.width) / 2, 0);
    small.close();
    one(".look", item.card).classList.add("drawn");
  });
};

const readable = async (blob) => {
  const url = URL.createObjectURL(blob);
  try {
    const picture = new Image();
    picture.src = url;
    await picture.decode();
    return true;
  } catch {
    return false;
  } finally {
    URL.revokeObjectURL(url);
  }
};

// What browsers can't show (HEIC, RAW, TIFF), the server shows once.
const originalOf = async (item) => {
  if (item.shown) return item.shown;
  item.shown = item.file;
  if (!(await readable(item.file))) {
    const form = formOf(item.file, item.result.ticket ? { ticket: item.result.ticket } : {});
    const answer = await fetch(root.dataset.original, { method: "POST", body: form, headers: { Accept: "application/json" } });
    item.shown = answer.ok ? await answer.blob() : null;
  }
  return item.shown;
};

const look = async (item) => {
  chosen = item;
  for (const other of items) one(".look", other.card).setAttribute("aria-pressed", String(other === item));
  const [{ Viewer }, before] = await Promise.all([import(viewer), originalOf(item).catch(() => null)]);
  if (chosen !== item || !item.result) return;
  stage ??= new Viewer(one(".lens"));
  const { blob, width, height } = item.result;
  const old = shownUrls;
  shownUrls = [URL.createObjectURL(before ?? blob), URL.createObjectURL(blob)];
  stage.show({
    before: shownUrls[0],
    after: shownUrls[1],
    width,
    height,
    left: before ? `Original · ${size(item.file.size)}` : "The original can’t be shown",
    right: `${kindOf(blob.type)} · ${size(blob.size)}`,
    title: item.file.name,
  });
  old.forEach((url) => URL.revokeObjectURL(url));
  writeCode();
};

const unlook = () => {
  chosen = null;
  stage?.hide();
  shownUrls.forEach((url) => URL.revokeObjectURL(url));
  shownUrls = [];
};

// ── in sum ───────────────────────────────────────────────────────────────────────────────────────

let shownSaving = 0;
let counting = 0;

const countUp = (place, target) => {
  cancelAnimationFrame(counting);
  const [from, began] = [calm.matches ? target : shownSaving, performance.now()];
  const step = (moment) => {
    const part = Math.min(1, Math.max(0, (moment - began) / 600));
    shownSaving = Math.round(from + (target - from) * (1 - (1 - part) ** 3));
    place.textContent = size(Math.abs(shownSaving));
    if (part < 1) counting = requestAnimationFrame(step);
  };
  step(calm.matches ? Infinity : began);
};

const reckon = () => {
  root.classList.toggle("has-files", items.length > 0);
  list.hidden = items.length === 0;
  const done = items.filter(({ result }) => result);
  const busy = items.filter(({ state }) => !["done", "failed"].includes(state)).length;
  const before = done.reduce((sum, { file }) => sum + file.size, 0);
  const after = done.reduce((sum, { result }) => sum + result.blob.size, 0);
  one("[data-sum]").hidden = done.length === 0;
  if (!done.length) shownSaving = 0;
  else countUp(one("[data-saved]"), Math.max(0, before - after));
  one("[data-share]").textContent = change(before, after);
  one("[data-of]").textContent = `${count(done.length, "file")}: ${size(before)} → ${size(after)}`;
  const download = one("[data-zip]");
  download.disabled = busy > 0;
  download.lastChild.textContent = done.length > 1 ? "Download all" : "Download";
  if (items.length) {
    const failed = items.filter(({ state }) => state === "failed").length;
    one("[data-status]").textContent = busy
      ? `${done.length} of ${items.length} files done`
      : `${count(done.length, "file")} done${failed ? `, ${failed} not` : ""}`;
  }
};

// The results' names, none twice, whatever case a file system keeps apart.
const names = () => {
  const taken = new Set();
  const found = new Map();
  for (const item of items.filter(({ result }) => result)) {
    const ending = kindOf(item.result.blob.type).toLowerCase().replace("jpeg", "jpg");
    const stem = item.file.name.replace(/\.[a-z0-9]{2,5}$/i, "") || "picture";
    let name = `${stem}.${ending}`;
    for (let number = 2; taken.has(name.toLowerCase()); number += 1) name = `${stem} (${number}).${ending}`;
    taken.add(name.toLowerCase());
    found.set(item, name);
  }
  return found;
};

const save = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

const saveAll = async (button) => {
  const found = [...names()];
  if (found.length === 1) return save(found[0][0].result.blob, found[0][1]);
  button.disabled = true;
  try {
    const { downloadZip } = await import(archive);
    const files = found.map(([item, name]) => ({ name, input: item.result.blob, lastModified: new Date() }));
    save(await downloadZip(files).blob(), "lightwell.zip");
  } catch {
    announce("The ZIP could not be made. Download the files one by one.");
  } finally {
    button.disabled = false;
  }
  return undefined;
};

// ── files ────────────────────────────────────────────────────────────────────────────────────────

const add = (files) => {
  const taken = files.slice(0, Math.max(0, MOST_FILES - items.length));
  if (taken.length < files.length) {
    announce(`The page holds ${MOST_FILES} files at a time. Clear it to go on.`);
  }
  const made = taken.map(make);
  items.push(...made);
  list.append(...made.map(({ card }) => card));
  for (const item of made) {
    if (item.file.size > Number(root.dataset.fileBytes)) {
      const whose = mode() === "visitor" ? "without an account" : "that the plan allows";
      fail(item, `The file is larger than ${root.dataset.most}, the most ${whose}.`, true);
    }
  }
  reckon();
  writeCode();
  pump();
};

const fileOf = (entry) => new Promise((give, give_up) => entry.file(give, give_up));

const within = async (entry) => {
  if (entry.isFile) return [await fileOf(entry)];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((give, give_up) => reader.readEntries(give, give_up));
    if (!some.length) break;
    found.push(...some);
  }
  return pictures((await Promise.all(found.map(within))).flat());
};

// Of a folder, without what systems and programs leave there.
const pictures = (files) =>
  files.filter(({ name, type }) => !name.startsWith(".") && (!type || type.startsWith("image/")));

const dropped = async (transfer) => {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const loose = [...transfer.files];
  try {
    add(entries.length ? (await Promise.all(entries.map(within))).flat() : loose);
  } catch {
    announce("Some of these files can’t be read.");
  }
};

const sample = async (button) => {
  button.disabled = true;
  const answer = await fetch(button.dataset.sample).catch(() => null);
  if (answer?.ok) add([new File([await answer.blob()], "lake.jpg", { type: "image/jpeg" })]);
  else announce("The sample could not be loaded.");
  button.disabled = false;
};

// ── controls ─────────────────────────────────────────────────────────────────────────────────────

let settling = 0;

// What to do about results of other settings than the present ones.
const consider = () => {
  const offer = one("[data-again]");
  if (!offer) return;
  const old = valid() ? stale() : [];
  const automatic = mode() !== "live" && old.length <= AUTOMATIC;
  offer.hidden = !old.length || automatic;
  if (offer.hidden) {
    if (old.length) again(old);
    return;
  }
  const files = count(old.length, "file");
  one("[data-apply]").lastChild.textContent = `Apply to ${files}`;
  one("[data-again-hint]").textContent =
    mode() === "live"
      ? `Uses ${count(old.length, "image")} of your plan. In test mode trying is free.`
      : mode() === "test"
        ? `Uses ${old.length} of today’s test images.`
        : "";
};

const writeCode = async () => {
  if (!snippets) return;
  const { snippet } = await import(snippets);
  const language = new FormData(root).get("language");
  const text = snippet(language, settings(), chosen?.file.name ?? items[0]?.file.name);
  one(".request pre").textContent = text;
  one(".request [data-copy]").dataset.copy = text;
};

root.addEventListener("input", ({ target }) => {
  if (target.name === "quality") {
    const shown = String(Math.round(100 * target.value));
    one("[data-quality]").textContent = shown;
    target.setAttribute("aria-valuetext", shown);
  }
  if (!target.name) return;
  writeCode();
  clearTimeout(settling);
  if (target.name !== "language") settling = setTimeout(consider, SETTLE);
});

const choose = (input) => input.click();
const [files, folders] = [one("[data-files]"), one("[data-folders]")];
const pressed = {
  "[data-choose]": () => choose(files),
  "[data-folder]": () => choose(folders),
  "[data-sample]": sample,
  "[data-zip]": saveAll,
  "[data-apply]": () => {
    one("[data-again]").hidden = true;
    again(stale());
  },
  "[data-clear]": () => [...items].forEach(acts.remove),
};

root.addEventListener("click", ({ target }) => {
  for (const [selector, act] of Object.entries(pressed)) {
    const button = target.closest(selector);
    if (button) act(button);
  }
});
root.addEventListener("submit", (event) => event.preventDefault());
files.addEventListener("change", () => {
  add([...files.files]);
  files.value = "";
});
folders.addEventListener("change", () => {
  add(pictures([...folders.files]));
  folders.value = "";
});

const holdsFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  root.classList.add("over");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) root.classList.remove("over");
});
addEventListener("drop", (event) => {
  root.classList.remove("over");
  if (!holdsFiles(event)) return;
  event.preventDefault();
  dropped(event.dataTransfer);
});
addEventListener("paste", ({ clipboardData }) => {
  if (clipboardData?.files.length) add([...clipboardData.files]);
});
addEventListener("beforeunload", (event) => {
  if (items.some(({ sending }) => sending)) event.preventDefault();
});

// Live and Test: the files stay here, and only what stands around them changes.
const switchMode = async (link) => {
  const answer = await fetch(link.href).catch(() => null);
  const other = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
  const there = other && other.querySelector(".squeeze");
  if (!there) return location.assign(link.href);
  for (const { name, value } of there.attributes) if (name !== "class") root.setAttribute(name, value);
  for (const part of [".squeeze [data-cost]", ".head .segmented", ".side nav"]) {
    document.querySelector(part).replaceWith(other.querySelector(part));
  }
  history.replaceState(null, "", link.href);
  consider();
  return document.querySelector(".head .segmented [aria-current]").focus();
};

document.addEventListener("click", (event) => {
  const link = event.target.closest(".head .segmented a");
  if (!link || !items.length || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  switchMode(link);
});

// Without a folder picker, as on phones, its button would do nothing.
if (!("webkitdirectory" in folders) || matchMedia("(pointer: coarse)").matches) one("[data-folder]").hidden = true;
one("#squeeze-file").disabled = true; // or an empty file field would go with each form
writeCode();
