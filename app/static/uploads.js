// The upload button of the library and the tray of files on their way. upload-queue.js sends them.

const root = document.getElementById("upload");
const tray = document.getElementById("tray");
const { endpoint, assets, query } = root.dataset;
const rules = JSON.parse(root.dataset.rules);
const { UploadQueue } = await import(root.dataset.queue);
const queue = new UploadQueue({ endpoint, query, atOnce: rules.at_once });

const IN_WORK = 12; // lines of each kind that the tray shows; the rest are counted
const FAILED = 20;
const DONE = 3;
const DUPLICATES = 10;
const RENDER_MS = 200;
const SAY_MS = 10_000;
const PREVIEWS = /^image\/(jpeg|png|webp|gif|avif|bmp)$/; // what browsers show by themselves
const MOST_PREVIEWED = 30e6;
const LEFT_BY_SYSTEMS = /^(\..*|thumbs\.db|desktop\.ini)$/i;

const part = (name, inside = tray) => inside.querySelector(`[data-${name}]`);
const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const files = (number) => count(number, "file", "files");
const size = (bytes) => {
  // As the filter `size` of the templates writes it.
  let [amount, unit] = [bytes, "bytes"];
  for (const larger of ["KB", "MB", "GB", "TB"]) {
    if (Math.round(amount) < 1000) break;
    [amount, unit] = [amount / 1024, larger];
  }
  const digits = unit === "bytes" || amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
  return `${Number(amount.toFixed(digits))} ${unit}`;
};

// ── which files ─────────────────────────────────────────────────────────────────────────────────

const typeOf = ({ name, type }) => rules.types[name.split(".").pop().toLowerCase()] ?? type;

const refusalOf = (file, type) => {
  if (!file.size) return "The file is empty.";
  if (file.size > rules.most) return rules.refusal;
  if (!/^(image|video)\//.test(type)) return "This is not an image or a video.";
  return null;
};

const take = (chosen) => {
  const found = [...chosen].filter(({ name }) => !LEFT_BY_SYSTEMS.test(name));
  if (!found.length) return;
  const asked = new URLSearchParams(location.search).get("collectionId");
  const collectionId = asked && asked !== "null" ? asked : null;
  for (const file of found) {
    const type = typeOf(file);
    queue.add(file, { name: nameOf(file), type, collectionId, refusal: refusalOf(file, type) });
  }
  tray.hidden = false;
  say(`${files(found.length)} to upload.`);
};

// A pasted picture is called "image.png" each time.
const nameOf = ({ name, pasted, lastModified }) => {
  if (!pasted) return name;
  const moment = new Date(lastModified).toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  return `Pasted ${moment}.${name.split(".").pop()}`;
};

const filesIn = async (entry) => {
  if (LEFT_BY_SYSTEMS.test(entry.name)) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // It gives a hundred at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...(await filesIn(one)));
  }
};

const takeDropped = async ({ items, files: plain }) => {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const loose = [...plain];
  try {
    const found = entries.length ? (await Promise.all(entries.map(filesIn))).flat() : loose;
    take(found);
  } catch {
    take(loose.filter(({ type }) => type));
    announce("A folder could not be read. Choose it by the menu beside “Upload”.");
  }
};

const announce = (text) => document.dispatchEvent(new CustomEvent("announce", { detail: text }));

// What is dragged within the page, such as a tile, is no file to upload.
let isOurs = false;
let depth = 0;
const holdsFiles = ({ dataTransfer }) => !isOurs && dataTransfer?.types.includes("Files");
const dropping = (on) => document.body.classList.toggle("dropping", on);
addEventListener("dragstart", () => (isOurs = true));
addEventListener("dragend", () => (isOurs = false));
addEventListener("dragenter", (event) => {
  if (holdsFiles(event)) dropping(++depth > 0);
});
addEventListener("dragleave", (event) => {
  if (holdsFiles(event)) dropping(--depth > 0);
});
addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
});
addEventListener("drop", (event) => {
  const wanted = holdsFiles(event);
  depth = 0;
  dropping(false);
  if (!wanted) return;
  event.preventDefault();
  takeDropped(event.dataTransfer);
});
addEventListener("paste", (event) => {
  if (event.target.closest?.("input, textarea, [contenteditable]")) return;
  const pasted = [...(event.clipboardData?.files ?? [])];
  take(pasted.map((file) => (/^image\.\w+$/.test(file.name) ? Object.assign(file, { pasted: true }) : file)));
});
root.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-choose]")?.dataset.choose;
  if (!choice) return;
  root.querySelector("details").open = false;
  part(choice, root).click();
});
for (const input of root.querySelectorAll("input")) {
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // so that the same files may be chosen again
  });
}
addEventListener("beforeunload", (event) => {
  if (queue.isBusy) event.preventDefault();
});

// ── the tray ────────────────────────────────────────────────────────────────────────────────────

const rows = new Map(); // item → its line

const rowOf = (item) => {
  if (rows.has(item)) return rows.get(item);
  const row = tray.querySelector("template").content.firstElementChild.cloneNode(true);
  row.querySelector("b").textContent = item.name;
  row.querySelector("b").title = item.name;
  const words = { pause: "Pause", resume: "Resume", retry: "Retry", cancel: "Cancel" };
  for (const button of row.querySelectorAll("[data-act]")) {
    button.title = words[button.dataset.act];
    button.setAttribute("aria-label", `${button.title} ${item.name}`);
  }
  row.querySelector("progress").setAttribute("aria-label", item.name);
  row.item = item;
  rows.set(item, row);
  return row;
};

const preview = (row, item) => {
  const image = row.querySelector("img");
  const wanted = item.asset?.thumbnailUrl ?? (PREVIEWS.test(item.type) && item.file?.size < MOST_PREVIEWED ? "own" : null);
  if (!wanted || row.shown === wanted) return;
  release(row);
  row.shown = wanted;
  if (wanted === "own") row.url = URL.createObjectURL(item.file);
  image.src = row.url ?? wanted;
  image.onload = () => (image.hidden = false);
};

const release = (row) => {
  if (row.url) URL.revokeObjectURL(row.url);
  row.url = null;
};

const percent = ({ sent, size: whole }) => Math.floor((100 * sent) / whole);

const stateOf = (item) => ({
  waiting: queue.lost ? "Waiting for the connection" : item.sent ? `Waiting at ${percent(item)} %` : "Waiting",
  sending: `${size(item.sent)} of ${size(item.size)}`,
  storing: "Looking at it",
  paused: item.sent ? `Paused at ${percent(item)} %` : "Paused",
  done: "Done",
  failed: item.problem,
})[item.state];

const show = (item) => {
  const row = rowOf(item);
  const { state } = item;
  row.className = state;
  const bar = row.querySelector("progress");
  bar.hidden = ["failed", "done"].includes(state);
  if (state === "storing") bar.removeAttribute("value");
  else bar.value = item.sent / item.size || 0;
  row.querySelector(".state").textContent = stateOf(item);
  const link = row.querySelector("a");
  const older = item.asset?.duplicateOf;
  link.hidden = !older;
  if (older) {
    link.href = `${assets}${older.id}${query}`;
    link.textContent = older.name === item.asset.name ? "Already in the library" : `Same file as ${older.name}`;
  }
  const offered = {
    pause: ["waiting", "sending"].includes(state),
    resume: state === "paused",
    retry: state === "failed" && item.mayRetry,
    cancel: state !== "storing",
  };
  for (const button of row.querySelectorAll("[data-act]")) {
    const focused = document.activeElement === button;
    button.hidden = !offered[button.dataset.act];
    if (focused && button.hidden) row.querySelector("[data-act]:not([hidden])")?.focus();
  }
  const cancel = row.querySelector("[data-act=cancel]");
  cancel.title = ["failed", "done"].includes(state) ? "Remove from the list" : "Cancel";
  cancel.setAttribute("aria-label", `${cancel.title}: ${item.name}`);
  preview(row, item);
  return row;
};

const chosenLines = () => {
  const done = queue.of("done");
  const twice = done.filter(({ asset }) => asset.duplicateOf).slice(-DUPLICATES);
  const work = [...queue.of("sending", "storing"), ...queue.of("paused"), ...queue.of("waiting")];
  return [
    ...queue.of("failed").slice(0, FAILED),
    ...work.slice(0, IN_WORK),
    ...twice,
    ...done.filter((item) => !twice.includes(item)).slice(-DONE),
  ];
};

const render = () => {
  const list = part("list");
  const shown = chosenLines();
  for (const [item, row] of rows) {
    if (shown.includes(item)) continue;
    release(row);
    row.remove();
    rows.delete(item);
  }
  // Lines that keep their place are not touched, so that they keep the focus.
  shown.forEach((item, index) => {
    const row = show(item);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  const hidden = queue.items.length - shown.length;
  part("more").hidden = !hidden;
  part("more").textContent = hidden ? `${files(hidden)} more, not shown` : "";
  summarise();
};

const summarise = () => {
  const { items } = queue;
  const [done, failed, paused] = ["done", "failed", "paused"].map((state) => queue.of(state).length);
  const taken = items.filter(({ state }) => state !== "failed");
  const [sent, whole] = ["sent", "size"].map((field) => taken.reduce((sum, item) => sum + item[field], 0));
  const left = items.length - done - failed;
  part("title").textContent = left
    ? `${queue.isPaused || left === paused ? "Paused" : "Uploading"} · ${done.toLocaleString("en")} of ${files(items.length)}`
    : `${files(done)} uploaded`;
  part("sum").value = whole ? sent / whole : 0;
  part("sum").classList.toggle("done", !left && !failed);
  part("bytes").textContent = `${size(sent)} of ${size(whole)}`;
  part("rest").textContent = failed ? `${failed.toLocaleString("en")} failed` : left ? `${left.toLocaleString("en")} to go` : "";
  part("lost").hidden = !queue.lost;
  const retryable = queue.of("failed").filter(({ mayRetry }) => mayRetry).length;
  part("failures").hidden = retryable < 2;
  part("failures").querySelector("span").textContent = `${files(retryable)} may be tried again.`;
  const offered = { pauseAll: left > paused, resumeAll: paused > 0, close: true };
  for (const button of tray.querySelectorAll("header [data-act]")) {
    button.hidden = offered[button.dataset.act] === false;
  }
  const close = tray.querySelector("[data-act=close]");
  close.title = left ? "Cancel all" : "Close";
  close.setAttribute("aria-label", close.title);
  report(done, failed, left);
};

// Said to screen readers at the end, and now and then before.
let saidAt = 0;
let saidLeft = 0;
const say = (text) => {
  part("said").textContent = text;
  saidAt = Date.now();
};
const report = (done, failed, left) => {
  const ended = !left && saidLeft;
  if (ended || (left && Date.now() - saidAt > SAY_MS)) {
    say(`${files(done)} uploaded${failed ? `, ${failed} failed` : ""}${left ? `, ${left} to go` : ""}.`);
  }
  saidLeft = left;
};

const question = document.getElementById("cancel-uploads");
question.querySelector("form").addEventListener("submit", () => queue.cancelAll());

const acts = {
  pauseAll: () => queue.pauseAll(),
  resumeAll: () => queue.resumeAll(),
  retryAll: () => queue.retryAll(),
  tryNow: () => queue.tryNow(),
  fold: (button) => {
    const folded = tray.classList.toggle("folded");
    button.setAttribute("aria-expanded", String(!folded));
  },
  close: () => {
    if (queue.isBusy) return question.showModal();
    queue.cancelAll();
    for (const item of [...queue.of("done")]) queue.forget(item);
    tray.hidden = !queue.items.length;
    if (tray.hidden) root.querySelector("button").focus();
  },
};
tray.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const { item } = button.closest("li") ?? {};
  const act = button.dataset.act;
  if (item) queue[act === "cancel" && item.state === "done" ? "forget" : act](item);
  else acts[act](button);
});

let timer = null;
queue.addEventListener("change", () => {
  timer ??= setTimeout(() => {
    timer = null;
    render();
  }, RENDER_MS);
});
queue.addEventListener("added", ({ detail: { asset } }) => {
  document.dispatchEvent(new CustomEvent("asset-added", { detail: { id: asset.id } }));
});
root.hidden = false;
