// The tiles of a list that may be of any length. It knows the ids of all that were loaded, and keeps
// the tiles of those rows only that are near the screen; spacers of the same height stand for the
// rows before and after. Tiles that are needed again and no longer kept are fetched by their ids.

const MARGIN = 2000; // pixels above and below the screen
const FEW = 300; // so many tiles stay, however far away
const KEPT = 1200; // tiles that are kept outside of the page
const AT_ONCE = 100; // ids in one request

const sum = (rows) => rows.reduce((height, row) => height + row.height, 0);
const count = (rows) => rows.reduce((number, row) => number + row.count, 0);

export class Grid extends EventTarget {
  #list; #fetch; #above = []; #below = []; #kept = new Map(); #width = 0; #asked = false; #busy = false;
  order = []; // the ids of all that were loaded

  // `fetchTiles(ids)` gives the tiles of those that still exist.
  constructor(fetchTiles) {
    super();
    this.#fetch = fetchTiles;
    addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(document.documentElement);
  }

  // Another list, whose first tiles are in the page.
  adopt(list) {
    this.#list = list;
    this.#above = [];
    this.#below = [];
    this.#kept.clear();
    this.#width = list?.clientWidth ?? 0;
    this.order = list ? this.live().map((tile) => tile.dataset.id) : [];
    for (const tile of this.live()) this.#kept.set(tile.dataset.id, tile);
  }

  // Take over from a page that was left: its ids, and the heights of its rows.
  restore({ order, rows }) {
    this.order = order;
    for (const tile of this.live()) tile.remove();
    this.#above = [];
    this.#below = rows.map((row) => ({ ...row, held: false }));
    this.#space();
  }

  state() {
    return { order: this.order, rows: this.#rows() };
  }

  live() {
    return [...(this.#list?.querySelectorAll(":scope > .tile") ?? [])];
  }

  tile(id) {
    const tile = this.#kept.get(id);
    return tile?.isConnected ? tile : null;
  }

  // More tiles at the end. The last row stays out of the page while more will come, since they would
  // move its tiles.
  append(tiles, isMore) {
    const known = new Set(this.order);
    const added = tiles.filter((tile) => !known.has(tile.dataset.id));
    for (const tile of added) this.#kept.set(tile.dataset.id, tile);
    const held = this.#held();
    this.order.push(...added.map((tile) => tile.dataset.id));
    if (held.length || !this.#below.length) {
      this.#below = [];
      this.#list.querySelector(":scope > .after").before(...held, ...added);
      this.#space();
      this.hold(isMore);
    } else {
      this.#release();
      this.#below.push({ count: added.length, height: 0 });
    }
    this.#changed();
  }

  hold(isMore) {
    const rows = this.#measured();
    if (!isMore || this.#below.length || rows.length < 3) return;
    const last = rows.at(-1);
    for (const tile of this.live().slice(-last.count)) tile.remove();
    this.#below = [{ ...last, held: true }];
    this.#space();
  }

  // The tiles of the row that waits, if all that is after the page is that row.
  #held() {
    const [row, ...others] = this.#below;
    const ids = row?.held && !others.length ? this.order.slice(-row.count) : [];
    return ids.every((id) => this.#kept.has(id)) ? ids.map((id) => this.#kept.get(id)) : [];
  }

  #release() {
    for (const row of this.#below) row.held = false;
  }

  // Put tiles where they belong: each has its place among all ids.
  insert(entries) {
    for (const { tile, place } of entries.toSorted((one, other) => one.place - other.place)) {
      const id = tile.dataset.id;
      if (this.order.includes(id)) continue;
      this.#kept.set(id, tile);
      const first = count(this.#above);
      const after = this.order.length - count(this.#below);
      const at = Math.min(place, this.order.length);
      if (at < first) this.#above.at(-1).count += 1;
      else if (at > after) this.#below[0].count += 1;
      else (this.live()[at - first] ?? this.#list.querySelector(":scope > .after")).before(tile);
      this.order.splice(at, 0, id);
    }
    this.#changed();
  }

  // Forget tiles; returns them with their places, for `insert`.
  remove(ids) {
    const gone = new Set(ids);
    const removed = [];
    const shrink = (rows, start) => {
      for (const row of rows) {
        const lost = this.order.slice(start, start + row.count).filter((id) => gone.has(id)).length;
        start += row.count;
        row.height *= row.count ? (row.count - lost) / row.count : 0;
        row.count -= lost;
      }
      return rows.filter((row) => row.count);
    };
    const ends = this.order.length - count(this.#below);
    this.#below = shrink(this.#below, ends);
    this.#above = shrink(this.#above, 0);
    this.order.forEach((id, place) => {
      if (gone.has(id)) removed.push({ id, place, tile: this.#kept.get(id) });
    });
    this.order = this.order.filter((id) => !gone.has(id));
    for (const { id, tile } of removed) {
      tile?.remove();
      this.#kept.delete(id);
    }
    this.#space();
    this.#changed();
    return removed;
  }

  // Scroll to a tile that is not in the page, and wait for it.
  async reveal(id) {
    const place = this.order.indexOf(id);
    if (place < 0) return null;
    if (!this.tile(id)) {
      this.#release();
      let start = 0;
      let top = this.#top();
      for (const row of this.#rows()) {
        if (place < start + row.count) break;
        start += row.count;
        top += row.height + this.#gap();
      }
      scrollTo({ top: top - innerHeight / 2 });
      await this.#arrange();
    }
    return this.tile(id);
  }

  #gap() {
    return parseFloat(getComputedStyle(this.#list).rowGap) || 0;
  }

  #top() {
    return this.#list.getBoundingClientRect().top + scrollY;
  }

  // The rows that are in the page, as they lie there.
  #measured() {
    const rows = [];
    let top = null;
    for (const tile of this.live()) {
      if (tile.offsetTop !== top) {
        top = tile.offsetTop;
        rows.push({ count: 0, height: tile.getBoundingClientRect().height });
      }
      rows.at(-1).count += 1;
    }
    return rows;
  }

  #rows() {
    return this.#list ? [...this.#above, ...this.#measured(), ...this.#below] : [];
  }

  #space() {
    for (const [name, rows] of [["before", this.#above], ["after", this.#below]]) {
      const spacer = this.#list.querySelector(`:scope > .${name}`);
      spacer.hidden = !rows.length;
      spacer.style.setProperty("height", `${sum(rows) + (rows.length - 1) * this.#gap()}px`);
    }
  }

  #resized() {
    const width = this.#list?.clientWidth ?? 0;
    if (!width || width === this.#width) return;
    for (const row of [...this.#above, ...this.#below]) row.height *= this.#width / width;
    this.#release();
    this.#width = width;
    if (this.#above.length || this.#below.length) this.#space();
    this.#soon();
  }

  #soon() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#arrange();
    });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
    this.#soon();
  }

  // Which tiles belong into the page: those of the rows near the screen.
  #wanted(rows) {
    const gap = this.#gap();
    const [low, high] = [scrollY - MARGIN, scrollY + innerHeight + MARGIN];
    let [from, to, place] = [null, 0, 0];
    let top = this.#top();
    for (const row of rows) {
      if (!row.held && top + row.height >= low && top <= high) {
        from ??= place;
        to = place + row.count;
      }
      place += row.count;
      top += row.height + gap;
    }
    return { from: from ?? 0, to };
  }

  // Bring the page to what it should hold. Only one at a time: another scroll asks again.
  async #arrange() {
    if (!this.#list || this.#busy) return;
    const out = [...this.#above, ...this.#below].some((row) => !row.held);
    if (this.order.length <= FEW && !out) return;
    this.#busy = true;
    try {
      for (let turn = 0; turn < 8; turn += 1) {
        const { from, to } = this.#wanted(this.#rows());
        const missing = this.order.slice(from, to).filter((id) => !this.#kept.has(id));
        if (!missing.length) break;
        if (!(await this.#load(missing.slice(0, AT_ONCE)))) return;
      }
      this.#show();
    } finally {
      this.#busy = false;
    }
  }

  async #load(ids) {
    const list = this.#list;
    const tiles = await this.#fetch(ids);
    if (!tiles || list !== this.#list) return false; // no connection, or another list by now
    for (const tile of tiles) this.#kept.set(tile.dataset.id, tile);
    const gone = ids.filter((id) => !this.#kept.has(id));
    if (gone.length) this.remove(gone);
    return true;
  }

  #show() {
    const rows = this.#rows();
    const { from, to } = this.#wanted(rows);
    const wanted = this.order.slice(from, to);
    if (!wanted.length || wanted.some((id) => !this.#kept.has(id))) return;
    const before = count(this.#above);
    const [start, end] = [before, this.order.length - count(this.#below)];
    if (from === start && to === end) return;
    this.#keepFocus(new Set(wanted));
    const after = this.#list.querySelector(":scope > .after");
    const tiles = wanted.map((id) => this.#kept.get(id));
    if (to <= start || from >= end) {
      for (const tile of this.live()) tile.remove();
      after.before(...tiles);
    } else {
      const live = this.live();
      live.slice(0, Math.max(0, from - start)).forEach((tile) => tile.remove());
      live.slice(Math.min(live.length, to - start)).forEach((tile) => tile.remove());
      if (from < start) this.live()[0].before(...tiles.slice(0, start - from));
      if (to > end) after.before(...tiles.slice(end - from));
    }
    this.#divide(rows, from, to);
    this.#space();
    this.#forget();
    this.dispatchEvent(new Event("change"));
  }

  // The rows before and after the tiles that are shown now.
  #divide(rows, from, to) {
    this.#above = [];
    this.#below = [];
    let place = 0;
    for (const row of rows) {
      if (place + row.count <= from) this.#above.push({ ...row });
      else if (place >= to) this.#below.push({ ...row });
      place += row.count;
    }
  }

  // The focus stays in the grid when its tile goes.
  #keepFocus(wanted) {
    const tile = document.activeElement?.closest?.(".tile");
    if (tile && !wanted.has(tile.dataset.id)) this.#list.focus({ preventScroll: true });
  }

  #forget() {
    for (const [id, tile] of this.#kept) {
      if (this.#kept.size <= KEPT) return;
      if (!tile.isConnected) this.#kept.delete(id);
    }
  }
}
