// The library: searches as one types, loads more as one scrolls, shows what was uploaded. The same
// links and forms lead to whole pages without it.

const library = document.querySelector("#library");
const { home, mode } = library.dataset;
const { Grid } = await import(library.dataset.grid);
const { Selection } = await import(library.dataset.selection);

const $ = (selector) => document.querySelector(selector);
const announce = (detail) => document.dispatchEvent(new CustomEvent("announce", { detail }));
const parsed = (text) => new DOMParser().parseFromString(text, "text/html");
const path = (part, search) => `${home}/library/${part}${search}`;

// The text of a page of ours. Where it leads to another page, such as the one to sign in on, the
// whole page goes there.
const read = async (address, options) => {
  const answer = await fetch(address, { credentials: "same-origin", ...options });
  if (answer.redirected) {
    location.reload();
    return new Promise(() => {});
  }
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.text();
};

const tilesOf = (page) => [...page.querySelectorAll(".tile")].map((tile) => document.adoptNode(tile));

const fetchTiles = async (ids) => {
  const query = new URLSearchParams(mode);
  for (const id of ids) query.append("id", id);
  try {
    return tilesOf(parsed(await read(path("tiles", `?${query}`))));
  } catch {
    return null; // shown by what is not there; the next scroll tries again
  }
};

const grid = new Grid(fetchTiles);

// Results ---------------------------------------------------------------------------------------

let latest = new AbortController();

// Show the list of another address. `how` names what history does with it, if anything.
const show = async (address, how) => {
  latest.abort();
  latest = new AbortController();
  const { signal } = latest;
  const wanted = new URL(address, location.href);
  $("#results").setAttribute("aria-busy", "true");
  try {
    const page = parsed(await read(path("results", wanted.search), { signal }));
    if (how) history[how](null, "", wanted);
    $("#count").replaceWith(page.querySelector("#count"));
    const opened = $("#results :popover-open")?.id; // while this was on its way
    $("#results").replaceWith(page.querySelector("#results"));
    if (opened) document.getElementById(opened)?.showPopover();
    document.dispatchEvent(new CustomEvent("htmx:load", { detail: { elt: $("#results") } })); // its buttons to copy
    if (document.activeElement !== $("#q")) $("#q").value = wanted.searchParams.get("q") ?? "";
    $("#said").textContent = $("#count").textContent;
    forgetFresh();
    markCollection(wanted.searchParams.get("collectionId") ?? "");
    adopt();
  } catch (problem) {
    if (problem.name === "AbortError") return;
    $("#results").removeAttribute("aria-busy");
    announce("The library does not answer just now. Try it again.");
  }
};

// The tree beside the list shows which collection it is of.
const markCollection = (id) => {
  for (const link of document.querySelectorAll("#collections .line > .to")) {
    if (link.parentElement.dataset.id === id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
};

const reload = () => show(location.href);

// Only the numbers, after something was deleted or came back.
let recounting = 0;
const recount = () => {
  clearTimeout(recounting);
  recounting = setTimeout(async () => {
    const page = parsed(await read(path("results", location.search)).catch(() => ""));
    const count = page.querySelector("#count");
    if (count) $("#count").replaceWith(count);
  }, 400);
};

const adopt = () => {
  grid.adopt($("#grid"));
  grid.hold(Boolean($("#more")));
  selection.adopt($("#grid"));
  watch();
};

let typing = 0;
const search = (now) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const address = new URL(location.href);
    const was = address.searchParams.get("q") ?? "";
    const words = $("#q").value.trim();
    if (words === was) return;
    address.searchParams.delete("cursor");
    if (words) address.searchParams.set("q", words);
    else address.searchParams.delete("q");
    show(address, was ? "replaceState" : "pushState");
  }, now ? 0 : 250);
};
$("#q").addEventListener("input", () => search());
$("#search").addEventListener("submit", (event) => {
  event.preventDefault();
  search(true);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("#results .sheet")) return;
  event.preventDefault();
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
  form.hidePopover();
  show(`${home}/library?${query}`, "pushState");
});
document.addEventListener("click", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  const link = plain && event.target.closest("#results a[data-part], #results .choices a");
  if (!link) return;
  event.preventDefault();
  link.closest("[popover]")?.hidePopover();
  show(link.href, "pushState");
});
addEventListener("popstate", () => {
  $("#q").value = new URLSearchParams(location.search).get("q") ?? "";
  reload();
});

// More ------------------------------------------------------------------------------------------

const theEnd = () => Object.assign(document.createElement("p"), { className: "quiet", textContent: "That’s all." });

let loading = null;
const more = async () => {
  const link = $("#more");
  if (!link || loading === link) return;
  loading = link;
  link.setAttribute("aria-busy", "true");
  try {
    const page = parsed(await read(path("tiles", new URL(link.href).search)));
    if (!link.isConnected) return; // another list by now
    const next = page.querySelector("#more");
    link.replaceWith(next ?? theEnd());
    grid.append(tilesOf(page), Boolean(next));
    watch();
  } catch {
    link.removeAttribute("aria-busy");
    link.classList.add("failed");
    announce("The next images did not come. “Load more” tries it again.");
  } finally {
    loading = null;
  }
};
const seen = new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && more(), {
  rootMargin: "0px 0px 1500px 0px",
});
const watch = () => {
  seen.disconnect();
  if ($("#more")) seen.observe($("#more"));
};
document.addEventListener("click", (event) => {
  if (!event.target.closest("#more")) return;
  event.preventDefault();
  more();
});

// What was uploaded -----------------------------------------------------------------------------

let arrived = [];
let elsewhere = 0;
let arriving = 0;
const forgetFresh = () => {
  elsewhere = 0;
  $("#fresh").hidden = true;
};
const place = async () => {
  const ids = arrived.splice(0, 100);
  if (arrived.length) arriving = setTimeout(place, 300);
  if (!grid.order.length) return reload();
  const collection = new URLSearchParams(location.search).get("collectionId");
  const fits = (tile) =>
    $("#results").dataset.newestFirst === "true" && (!collection || tile.dataset.collection === collection);
  const tiles = (await fetchTiles(ids)) ?? [];
  const shown = tiles.filter(fits);
  for (const tile of shown) tile.classList.add("fresh");
  grid.insert(shown.map((tile) => ({ tile, place: 0 })));
  document.dispatchEvent(new CustomEvent("assets-moved"));
  elsewhere += tiles.length - shown.length;
  $("#fresh").hidden = !elsewhere;
  $("#fresh").textContent = `${elsewhere} new: show ${elsewhere === 1 ? "it" : "them"}`;
  recount();
};
document.addEventListener("asset-added", ({ detail }) => {
  arrived.push(detail.id);
  clearTimeout(arriving);
  arriving = setTimeout(place, 300);
});
$("#fresh").addEventListener("click", () => show(`${home}/library${mode}`, "pushState"));

// Tags that are known, below a field for tags -----------------------------------------------------

let suggesting = 0;
document.addEventListener("input", ({ target }) => {
  if (target.getAttribute("list") !== "known-tags") return;
  clearTimeout(suggesting);
  suggesting = setTimeout(async () => {
    const [, before, beginning] = target.value.match(/^(.*,\s*)?(.*)$/s);
    const query = new URLSearchParams(mode);
    query.set("beginning", beginning.trim());
    const { tags } = JSON.parse(await read(path("tags", `?${query}`)).catch(() => '{"tags":[]}'));
    $("#known-tags").replaceChildren(
      ...tags.map((tag) => new Option("", (before ?? "") + (tag.includes(",") ? `"${tag.replaceAll('"', '""')}"` : tag))),
    );
  }, 150);
});

// There and back again ----------------------------------------------------------------------------

const MOST_REMEMBERED = 20000;
addEventListener("pagehide", () => {
  if (grid.order.length > MOST_REMEMBERED) return;
  const left = { ...grid.state(), address: location.href, scroll: scrollY, more: $("#more")?.outerHTML ?? "" };
  try {
    sessionStorage.setItem("library", JSON.stringify(left));
  } catch {
    sessionStorage.removeItem("library"); // full, or not allowed
  }
});
const comeBack = () => {
  const how = performance.getEntriesByType("navigation")[0]?.type;
  const left = how === "back_forward" && JSON.parse(sessionStorage.getItem("library") ?? "null");
  if (!left || left.address !== location.href || left.order.length <= grid.order.length) return;
  grid.restore(left);
  $("#more")?.replaceWith(parsed(left.more).body.firstChild ?? theEnd());
  scrollTo({ top: left.scroll, behavior: "instant" });
};

library.dataset.scripted = "";
const selection = new Selection({ grid, home, mode, announce, reload, recount, fetchTiles });
grid.adopt($("#grid"));
grid.hold(Boolean($("#more")));
comeBack();
selection.adopt($("#grid"));
watch();
