// The tree of collections: folding, menu, drag and drop. Without it each collection is a link, and
// its menu a page with the same forms.

const ASSETS = "application/x-lightwell-assets";
const COLLECTION = "application/x-lightwell-collection";
const HOVER_MS = 700;
const KEPT = 50; // open collections that are remembered

const root = document.getElementById("collections");
const { collections, query, state } = root.dataset;
const mayChange = "mayChange" in root.dataset;
const announce = (text) => document.dispatchEvent(new CustomEvent("announce", { detail: text }));
const lines = () => [...root.querySelectorAll(".tree > .line")];
const lineOf = (id) => root.querySelector(`.tree > .line[data-id="${CSS.escape(id)}"]`);
const foldOf = (line) => line?.querySelector(".fold");
const isOpen = (line) => foldOf(line)?.getAttribute("aria-expanded") === "true";
const addressOf = (path, values = {}) => {
  const address = new URL(path + query, location);
  for (const [name, value] of Object.entries(values)) address.searchParams.set(name, value);
  return address;
};

const parse = (text) => new DOMParser().parseFromString(text, "text/html");
const ask = async (address) => {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error("The collections can't be read. Load the page again.");
  return parse(await answer.text());
};

// Which collections are open is remembered for each organization and mode.
const remembered = () => {
  try {
    return JSON.parse(localStorage.getItem(state)) ?? [];
  } catch {
    return [];
  }
};
const remember = () => {
  const open = lines().filter(isOpen).map((line) => line.dataset.id);
  localStorage.setItem(state, JSON.stringify(open.slice(0, KEPT)));
};

// A line is shown if all lines above it that it lies in are open.
const show = () => {
  const shown = new Set([""]);
  for (const line of lines()) {
    if (line.classList.contains("all")) continue;
    line.hidden = !shown.has(line.dataset.parent);
    if (!line.hidden && isOpen(line)) shown.add(line.dataset.id);
  }
};

const load = async (line) => {
  const part = await ask(addressOf(collections, { part: "rows", parent: line.dataset.id }));
  line.after(...part.querySelectorAll(".line"));
  prepare();
};

const setOpen = async (line, open) => {
  foldOf(line).setAttribute("aria-expanded", String(open));
  if (open && !lines().some((other) => other.dataset.parent === line.dataset.id)) await load(line);
  show();
};

const loadMore = async (link) => {
  const line = link.closest(".line");
  const address = new URL(link.href);
  address.searchParams.set("part", "rows");
  const part = await ask(address);
  const known = new Set(lines().map((other) => other.dataset.id));
  const fresh = [...part.querySelectorAll(".line")].filter((other) => !known.has(other.dataset.id));
  line.replaceWith(...fresh);
  prepare();
  show();
  fresh[0]?.querySelector("a").focus();
};

const refresh = async () => {
  const part = await ask(addressOf(collections, { part: "tree", chosen: root.dataset.chosen }));
  const opened = lines().filter(isOpen).map((line) => line.dataset.id);
  root.querySelector(".tree").replaceWith(part.querySelector(".tree"));
  prepare();
  await reopen(opened);
  document.dispatchEvent(new CustomEvent("collections-changed"));
};

const reopen = async (ids) => {
  for (const id of ids) {
    const line = lineOf(id);
    if (foldOf(line) && !isOpen(line)) await setOpen(line, true);
  }
  show();
};

const prepare = () => {
  for (const fold of root.querySelectorAll(".fold")) fold.hidden = false;
  if (!mayChange) return;
  for (const link of root.querySelectorAll(".line[data-name] .to")) link.draggable = true;
};

// Forms: the same as without script, sent for JSON. What is wrong is said where it was typed.
const refuse = (form, { error, errors }) => {
  form.querySelectorAll(".error").forEach((old) => old.remove());
  const [, name, problem] = errors?.[0]?.match(/^(\w+): (.*)$/s) ?? [];
  const told = problem && error === errors[0] ? `${problem[0].toUpperCase()}${problem.slice(1)}.` : error;
  const input = form.elements[name];
  const place = (input instanceof HTMLElement && input.closest(".field")) || form.querySelector(".field");
  const line = document.createElement("p");
  line.className = "error";
  line.role = "alert";
  line.textContent = told;
  place ? place.append(line) : form.prepend(line);
  input?.focus?.();
};

const send = async (form) => {
  const buttons = form.querySelectorAll("button");
  const parentId = form.elements.parentId?.value ?? "";
  buttons.forEach((button) => (button.disabled = true));
  try {
    const answer = await post(form.action, new FormData(form));
    form.closest("dialog")?.close();
    const fold = form.closest("details.new");
    if (fold) fold.open = false;
    form.reset();
    if (answer.id === null && form.action.includes(`/${root.dataset.chosen}/delete`)) {
      return location.assign(lineOf("").querySelector("a").href);
    }
    announce(answer.message);
    await refresh();
    if (answer.id) {
      const parent = lineOf(parentId);
      if (foldOf(parent) && !isOpen(parent)) await setOpen(parent, true);
      lineOf(answer.id)?.querySelector("a").focus();
    }
    remember();
  } catch (problem) {
    refuse(form, problem.answer ?? { error: problem.message });
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
};

const post = async (address, values) => {
  const answer = await fetch(address, {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams(values),
  });
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (!isJson) throw new Error("This did not work. Load the page again.");
  const content = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(content.error), { answer: content });
  return content;
};

// One menu and one dialog for all collections; the dialog's form comes from the collection's page.
const menu = document.getElementById("tree-menu");
const dialog = document.getElementById("tree-dialog");

const openMenu = (button) => {
  const box = button.getBoundingClientRect();
  for (const link of menu.querySelectorAll("[data-form]")) {
    const address = new URL(button.href);
    address.hash = link.dataset.form;
    link.href = address;
  }
  const exporting = menu.querySelector("[data-export]");
  const form = new URL(exporting.dataset.export, location);
  form.searchParams.set("collectionId", button.closest(".line").dataset.id);
  exporting.href = form;
  menu.opener = button;
  menu.showPopover();
  const height = menu.offsetHeight;
  const below = box.bottom + height + 8 < innerHeight;
  menu.style.setProperty("top", `${below ? box.bottom + 4 : Math.max(4, box.top - height - 4)}px`);
  menu.style.setProperty("left", `${Math.min(box.left, innerWidth - menu.offsetWidth - 8)}px`);
  menu.querySelector("a").focus();
};

const openForm = async (link) => {
  menu.hidePopover();
  const { name } = menu.opener.closest(".line").dataset;
  const page = await ask(new URL(link.href.split("#")[0]));
  const form = page.querySelector(`#${link.dataset.form} form`);
  if (!form) return location.assign(link.href);
  dialog.querySelector("h2").textContent = `${link.textContent.trim().replace("…", "")}: ${name}`;
  dialog.querySelector(".place").replaceChildren(form);
  dialog.showModal();
  const first = form.querySelector("input:not([type=hidden]), select");
  first?.focus();
  first?.select?.();
};

const pressed = {
  ".fold": (fold) => setOpen(fold.closest(".line"), !isOpen(fold.closest(".line"))).then(remember),
  "[data-more]": loadMore,
  ...(mayChange && { "[data-tree-menu]": openMenu, "#tree-menu [data-form]": openForm }),
};

root.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  for (const [selector, act] of Object.entries(pressed)) {
    const found = event.target.closest(selector);
    if (!found) continue;
    event.preventDefault();
    try {
      await act(found);
    } catch (problem) {
      announce(problem.message);
    }
    return;
  }
});
root.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!event.target.querySelector("button:disabled")) send(event.target);
});

// Keys as in other trees: arrows go up and down, open and close.
root.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const within = event.target.closest("#tree-menu");
  if (within && step) {
    const links = [...menu.querySelectorAll("a")];
    links.at((links.indexOf(document.activeElement) + step) % links.length).focus();
    return event.preventDefault();
  }
  const line = event.target.closest(".line");
  if (!line || !event.target.matches(".to, .fold")) return;
  const shown = lines().filter((other) => !other.hidden);
  if (step) shown[shown.indexOf(line) + step]?.querySelector(".to").focus();
  else if (event.key === "ArrowRight" && foldOf(line) && !isOpen(line)) setOpen(line, true).then(remember);
  else if (event.key === "ArrowLeft" && isOpen(line)) setOpen(line, false).then(remember);
  else if (event.key === "ArrowLeft") lineOf(line.dataset.parent ?? "")?.querySelector(".to").focus();
  else return;
  event.preventDefault();
});

// Drag and drop: images and collections onto collections; a collection onto "All images" goes to the
// top. Names of types are all that a page may know while something is dragged.
let dragged = null;
let hovered = null;
let waiting = 0;

const isInside = (line, id) => {
  for (let one = line; one?.dataset.id; one = lineOf(one.dataset.parent)) {
    if (one.dataset.id === id) return true;
  }
  return false;
};
const takes = (line, transfer) => {
  if (!line || line.classList.contains("more")) return false;
  if (transfer.types.includes(ASSETS)) return line.dataset.id !== "";
  return transfer.types.includes(COLLECTION) && dragged !== null
    && !isInside(line, dragged) && lineOf(dragged)?.dataset.parent !== line.dataset.id;
};
const hover = (line) => {
  if (hovered === line) return;
  clearTimeout(waiting);
  hovered?.classList.remove("over");
  hovered = line;
  if (!line) return;
  line.classList.add("over");
  if (foldOf(line) && !isOpen(line)) {
    waiting = setTimeout(() => setOpen(line, true).then(remember, () => {}), HOVER_MS);
  }
};

const moveCollection = async (id, parentId) => {
  try {
    const answer = await post(addressOf(`${collections}/${id}/move`), { parentId });
    announce(answer.message);
    await refresh();
    const parent = lineOf(parentId);
    if (foldOf(parent) && !isOpen(parent)) await setOpen(parent, true);
    remember();
  } catch (problem) {
    announce(problem.message);
  }
};

if (mayChange) {
  root.addEventListener("dragstart", (event) => {
    const line = event.target.closest(".line[data-name]");
    if (!line) return;
    dragged = line.dataset.id;
    event.dataTransfer.setData(COLLECTION, dragged);
    event.dataTransfer.effectAllowed = "move";
  });
  root.addEventListener("dragend", () => {
    dragged = null;
    hover(null);
  });
  root.addEventListener("dragover", (event) => {
    const line = event.target.closest(".line");
    const fits = takes(line, event.dataTransfer);
    if (fits) {
      event.preventDefault();
      event.dataTransfer.dropEffect = "move";
    }
    hover(fits ? line : null);
  });
  root.addEventListener("dragleave", (event) => {
    if (!root.contains(event.relatedTarget)) hover(null);
  });
  root.addEventListener("drop", (event) => {
    const line = event.target.closest(".line");
    const { dataTransfer } = event;
    if (!takes(line, dataTransfer)) return;
    event.preventDefault();
    hover(null);
    const collectionId = line.dataset.id;
    if (dataTransfer.types.includes(COLLECTION)) return moveCollection(dragged, collectionId);
    const ids = JSON.parse(dataTransfer.getData(ASSETS) || "[]");
    document.dispatchEvent(new CustomEvent("move-assets", { detail: { collectionId, ids } }));
  });
}

// The library shows other lists without a new page: the chosen collection follows its address.
const follow = () => {
  const chosen = new URLSearchParams(location.search).get("collectionId") ?? "";
  if (chosen === root.dataset.chosen) return;
  root.dataset.chosen = chosen;
  root.querySelector(".tree [aria-current]")?.removeAttribute("aria-current");
  const line = lineOf(chosen);
  if (!line || line.hidden) return refresh().catch(() => {});
  line.querySelector(".to").setAttribute("aria-current", "true");
  const name = line.dataset.name ?? "All images";
  root.querySelector(".drawer-button button").lastChild.textContent = name;
};
const results = document.getElementById("results")?.parentElement;
if (results) new MutationObserver(follow).observe(results, { childList: true });

// Images were added, moved or deleted: the numbers are others, of many at once only at the end.
let counting = 0;
const recount = () => {
  clearTimeout(counting);
  counting = setTimeout(() => refresh().catch(() => {}), 600);
};
document.addEventListener("assets-moved", recount);
document.addEventListener("asset-added", recount);

prepare();
reopen(remembered()).catch(() => {});
