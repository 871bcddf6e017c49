// Choosing tiles by mouse and keyboard, and what is done with the chosen ones.

const MOST = 1000; // ids in one request

const images = (number) => `${number.toLocaleString("en")} image${number === 1 ? "" : "s"}`;
const isTyping = (element) => element?.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");

export class Selection {
  #chosen = new Set(); #list = null; #current = null; #anchor = null; #spread = []; #everything = false;
  #bar = document.querySelector("#selection");
  #busy = false;

  constructor(page) {
    this.page = page;
    this.grid = page.grid;
    this.grid.addEventListener("change", () => this.#refresh());
    document.addEventListener("keydown", (event) => this.#key(event));
    if (!this.#bar) return; // viewers have nothing to do with a selection
    this.#bar.querySelector(".everything").addEventListener("click", () => this.#chooseEverything());
    for (const button of this.#bar.querySelectorAll("[data-act]")) {
      button.addEventListener("click", () => this.#act(button.dataset.act));
    }
    document.querySelector("#tag-form")?.addEventListener("submit", (event) => this.#tag(event));
    document.querySelector("#move-form")?.addEventListener("submit", (event) => this.#move(event));
    document.addEventListener("move-assets", ({ detail }) => this.#moveTo(detail.collectionId, detail.ids));
  }

  // Another list: what was chosen in the one before is not any more. What is checked in this one was
  // chosen before the script was there.
  adopt(list) {
    const checked = [...(list?.querySelectorAll(".pick:checked") ?? [])].map((pick) => pick.closest(".tile").dataset.id);
    this.#list = list;
    this.#current = null;
    this.#anchor = checked.at(-1) ?? null;
    this.clear(checked);
    list?.addEventListener("click", (event) => this.#click(event));
    list?.addEventListener("focusin", ({ target }) => {
      const tile = target.closest(".tile");
      if (tile) this.#current = tile.dataset.id;
      if (tile) this.#rove();
    });
    if (this.#bar) list?.addEventListener("dragstart", (event) => this.#drag(event));
  }

  clear(except = []) {
    if (this.#bar?.contains(document.activeElement)) this.#list?.focus({ preventScroll: true }); // the bar goes
    this.#chosen = new Set(except);
    this.#spread = [];
    this.#everything = false;
    this.#refresh();
  }

  // What the tiles and the bar show.
  #refresh() {
    const known = new Set(this.grid.order);
    for (const id of this.#chosen) if (!known.has(id)) this.#chosen.delete(id);
    for (const tile of this.grid.live()) {
      const pick = tile.querySelector(".pick");
      if (!pick) continue;
      pick.tabIndex = -1;
      pick.checked = this.#everything || this.#chosen.has(tile.dataset.id);
    }
    this.#rove();
    if (!this.#bar || this.#busy) return;
    const number = this.#chosen.size;
    this.#bar.hidden = !number;
    const { total, exact } = document.querySelector("#results").dataset;
    const all = this.#bar.querySelector(".everything");
    const text = this.#everything ? `All ${total} that match` : `${number.toLocaleString("en")} selected`;
    if (this.#bar.querySelector("b").textContent !== text) this.#bar.querySelector("b").textContent = text;
    all.textContent = exact === "true" ? `Select all ${total} that match` : "Select all that match";
    all.hidden = this.#everything || !document.querySelector("#more") || number < this.grid.order.length;
    for (const button of this.#bar.querySelectorAll("[data-act]")) {
      button.hidden = this.#everything && !["export", "clear"].includes(button.dataset.act);
    }
  }

  // One tile of the grid is reached by Tab; arrow keys lead on.
  #rove() {
    const live = this.grid.live();
    const current = this.grid.tile(this.#current) ?? live[0];
    for (const tile of live) tile.querySelector("a").tabIndex = tile === current ? 0 : -1;
  }

  #toggle(id, wanted = !this.#chosen.has(id)) {
    this.#everything = false;
    if (wanted) this.#chosen.add(id);
    else this.#chosen.delete(id);
    this.#anchor = id;
    this.#spread = [];
    this.#refresh();
  }

  // All from the last one that was chosen to this one, also those that are not in the page.
  #extend(id) {
    const { order } = this.grid;
    const [from, to] = [order.indexOf(this.#anchor ?? id), order.indexOf(id)].sort((one, other) => one - other);
    if (from < 0) return this.#toggle(id, true);
    this.#everything = false;
    for (const other of this.#spread) this.#chosen.delete(other);
    this.#spread = order.slice(from, to + 1);
    for (const other of this.#spread) this.#chosen.add(other);
    this.#anchor ??= id;
    this.#refresh();
  }

  #click(event) {
    const tile = event.target.closest(".tile");
    if (!tile || !this.#bar) return;
    const { id } = tile.dataset;
    const picked = event.target.matches(".pick");
    if (event.shiftKey) {
      if (!picked) event.preventDefault();
      getSelection().removeAllRanges();
      this.#extend(id);
    } else if (picked) this.#toggle(id, event.target.checked);
    else if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.#toggle(id);
    }
  }

  #key(event) {
    const inside = this.#list?.contains(event.target);
    const free = inside || event.target === document.body || this.#bar?.contains(event.target);
    if (!free || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && this.#chosen.size) return this.clear();
    if (this.#bar && event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.grid.order.forEach((id) => this.#chosen.add(id));
      return this.#refresh();
    }
    if (event.key === "Delete" && this.#chosen.size && !this.#everything) return this.#trash(this.#inOrder());
    if (!inside) return;
    if (event.key === " " && !event.target.matches(".pick") && this.#bar) {
      event.preventDefault();
      const id = event.target.closest(".tile")?.dataset.id ?? this.#current;
      if (id) this.#toggle(id);
    }
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const next = this.#next(event.key);
    if (!next) return;
    event.preventDefault();
    this.#go(next, event.shiftKey);
  }

  async #go(id, extends_) {
    if (extends_ && this.#bar) {
      this.#anchor ??= this.#current;
      this.#extend(id);
    }
    this.#current = id;
    const tile = await this.grid.reveal(id);
    tile?.querySelector("a").focus();
  }

  // The id that a key leads to; up and down by where the tiles lie.
  #next(key) {
    const { order } = this.grid;
    const place = order.indexOf(this.#current ?? order[0]);
    const steps = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: order.length - 1 };
    if (key in steps) return order[steps[key]];
    if (key !== "ArrowUp" && key !== "ArrowDown") return null;
    const tile = this.grid.tile(order[place]);
    return tile ? this.#beside(tile, key === "ArrowUp" ? -1 : 1) : order[place];
  }

  #beside(tile, way) {
    const middle = tile.offsetLeft + tile.offsetWidth / 2;
    const off = (other) => Math.abs(other.offsetLeft + other.offsetWidth / 2 - middle);
    const beyond = this.grid.live().filter((other) => (other.offsetTop - tile.offsetTop) * way > 1);
    const row = Math.min(...beyond.map((other) => Math.abs(other.offsetTop - tile.offsetTop)));
    const candidates = beyond.filter((other) => Math.abs(other.offsetTop - tile.offsetTop) === row);
    return candidates.sort((one, other) => off(one) - off(other))[0]?.dataset.id;
  }

  #drag(event) {
    const tile = event.target.closest?.(".tile");
    if (!tile) return;
    const { id } = tile.dataset;
    const ids = this.#chosen.has(id) ? this.#inOrder() : [id];
    event.dataTransfer.setData("application/x-lightwell-assets", JSON.stringify(ids));
    event.dataTransfer.effectAllowed = "copyMove";
    if (ids.length === 1) return;
    const label = document.createElement("div");
    label.className = "drag-count";
    label.textContent = images(ids.length);
    document.body.append(label);
    event.dataTransfer.setDragImage(label, 12, 12);
    setTimeout(() => label.remove());
  }

  #inOrder() {
    return this.grid.order.filter((id) => this.#chosen.has(id));
  }

  #chooseEverything() {
    this.#everything = true;
    this.#refresh();
  }

  #act(what) {
    if (what === "clear") this.clear();
    if (what === "export") this.#export();
    if (what === "trash") this.#trash(this.#inOrder());
    if (what === "move") this.#offerPlaces();
    if (what === "tag" || what === "move") {
      const title = `${what === "tag" ? "Tag" : "Move"} ${images(this.#chosen.size)}`;
      document.querySelector(`#${what}-images-title`).textContent = title;
    }
  }

  // The collections, as they are now.
  async #offerPlaces() {
    const select = document.querySelector("#move-to");
    const answer = await fetch(select.dataset.places).catch(() => null);
    if (!answer?.ok || answer.redirected) return this.page.announce("The collections don’t come just now. Try it again.");
    const { value } = select;
    select.replaceChildren(...new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("option"));
    if (value) select.value = value;
  }

  // Send ids in several requests if there are many, and say how far it is. Returns all answers.
  async #send(path, ids, fields = {}) {
    const progress = this.#bar.querySelector("progress");
    const answers = [];
    this.#busy = true;
    progress.max = ids.length;
    progress.hidden = ids.length <= MOST;
    this.#bar.toggleAttribute("aria-busy", true);
    for (const button of this.#bar.querySelectorAll("button")) button.disabled = true;
    try {
      for (let start = 0; start < ids.length; start += MOST) {
        progress.value = start;
        const body = new URLSearchParams(fields);
        for (const id of ids.slice(start, start + MOST)) body.append("ids", id);
        const answer = await fetch(`${this.page.home}/${path}${this.page.mode}`, {
          method: "POST",
          body,
          headers: { Accept: "application/json" },
        });
        const said = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new Error(said.error ?? "That did not work. Try it again.");
        answers.push(said);
      }
      return answers;
    } catch (problem) {
      const offline = problem instanceof TypeError;
      throw new Error(offline ? "There is no connection just now. Try it again." : problem.message);
    } finally {
      this.#busy = false;
      progress.hidden = true;
      this.#bar.toggleAttribute("aria-busy", false);
      for (const button of this.#bar.querySelectorAll("button")) button.disabled = false;
      this.#refresh();
    }
  }

  async #trash(ids) {
    try {
      const moved = (await this.#send("library/bulk/trash", ids)).flatMap((answer) => answer.changed);
      const removed = this.grid.remove(moved);
      this.clear();
      this.#changed();
      this.page.announce({
        text: `${images(moved.length)} moved to the trash`,
        label: "Undo",
        act: () => this.#restore(removed),
      });
    } catch (problem) {
      this.page.announce(problem.message);
    }
  }

  async #restore(removed) {
    try {
      await this.#send("trash/restore", removed.map(({ id }) => id));
      const kept = removed.filter(({ tile }) => tile);
      const isEmpty = !this.grid.order.length;
      if (!isEmpty) this.grid.insert(kept);
      this.#changed(isEmpty || kept.length < removed.length);
      this.page.announce(`${images(removed.length)} restored`);
    } catch (problem) {
      this.page.announce(problem.message);
    }
  }

  async #tag(event) {
    event.preventDefault();
    const form = event.target;
    const how = event.submitter?.value ?? "add";
    await this.#inDialog(form, async () => {
      const answers = await this.#send("library/bulk/tags", this.#inOrder(), { how, tags: form.text.value });
      const changed = answers.flatMap((answer) => answer.changed).length;
      const full = answers.flatMap((answer) => answer.full).length;
      form.reset();
      const words = how === "add" ? `Tagged ${images(changed)}` : `Took tags from ${images(changed)}`;
      this.page.announce(full ? `${words}. ${images(full)} would have too many tags and stayed as they are.` : words);
      const query = new URLSearchParams(location.search);
      if (query.has("tags") || query.has("q")) this.page.reload();
    });
  }

  async #move(event) {
    event.preventDefault();
    const form = event.target;
    await this.#inDialog(form, () => this.#moved(form.collectionId.value, this.#inOrder()));
  }

  async #moveTo(collection, ids) {
    try {
      await this.#moved(collection ?? "", ids ?? this.#inOrder());
    } catch (problem) {
      this.page.announce(problem.message);
    }
  }

  async #moved(collection, ids) {
    const answers = await this.#send("library/bulk/move", ids, { collectionId: collection });
    const changed = answers.flatMap((answer) => answer.changed);
    const shown = new URLSearchParams(location.search).get("collectionId");
    if (shown && shown !== collection) this.grid.remove(ids);
    this.clear();
    this.page.announce(`${images(changed.length)} moved to ${answers[0]?.name ?? "no collection"}`);
    this.#changed();
  }

  // The numbers are others now, here and in the tree of collections.
  #changed(reload = !this.grid.order.length) {
    if (reload) this.page.reload();
    else this.page.recount();
    document.dispatchEvent(new CustomEvent("assets-moved"));
  }

  // Do it and close; what is wrong stands in the dialog.
  async #inDialog(form, work) {
    const line = form.querySelector("[role=alert]");
    line.hidden = true;
    try {
      await work();
      form.closest("dialog").close();
    } catch (problem) {
      line.textContent = problem.message;
      line.hidden = false;
    }
  }

  #export() {
    const { home, mode } = this.page;
    if (this.#everything) {
      location.assign(`${home}/exports/new${location.search}`);
      return;
    }
    const form = document.createElement("form");
    form.method = "post";
    form.action = `${home}/exports/choose${mode}`;
    for (const id of this.#inOrder()) {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "ids", value: id });
      form.append(field);
    }
    document.body.append(form);
    form.submit();
    form.remove();
  }
}
