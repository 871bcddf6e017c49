// Sends files to storage and has the server finalize them. It knows nothing of the page.
//
// A file goes through: waiting → sending → storing (all bytes are there, the server looks at them)
// → done. It may be paused, cancelled or failed instead. "change" is dispatched when anything moves,
// "added" with an item whose asset is made.

const SENDING_AT_ONCE = 4;
const STORING_AT_ONCE = 3;
const SILENCE_MS = 60_000; // without a byte, a connection counts as lost
const LONGEST_WAIT_MS = 30_000;
const MOST_LOSSES = 12; // of one file, on a connection that seems to be there
const SMALL = 4 * 1024 * 1024; // files that begin together, because they will be sent soon
const REQUESTS = { burst: 60, perSecond: 7 }; // of the 600 a minute that a person may make
const FOR_GOOD = new Set([400, 413, 415, 422]); // what was refused so will be refused again
const GONE = new Set([403, 404]); // URLs that expired, uploads that ended

export class Refusal extends Error {
  constructor(message, { status = 0, wait = null, errors = [] } = {}) {
    super(message);
    this.status = status;
    this.wait = wait;
    this.errors = errors;
  }
  get isLoss() { return this.status === 0; }
  get isBusy() { return this.status === 429 || this.status >= 500; }
}

const LOST = "The connection was lost. Check it, then try again.";
const CHANGED = "The file changed while it was uploaded. Choose it again.";
const SIGNED_OUT = "You were signed out. Sign in again in another tab, then try again.";

const pause = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(done, milliseconds);
    function done() {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(signal.reason);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });

// fetch() tells no progress of what is sent, so this is XMLHttpRequest.
const put = (url, headers, body, signal, onProgress) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const request = new XMLHttpRequest();
    let watch;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => request.abort(), SILENCE_MS);
    };
    const stop = () => request.abort();
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded }) => {
      alive();
      onProgress(loaded);
    });
    request.addEventListener("loadend", () => {
      clearTimeout(watch);
      signal.removeEventListener("abort", stop);
      if (signal.aborted) reject(signal.reason);
      else if (request.status === 200) resolve();
      else reject(new Refusal(refusalOf(request), { status: request.status }));
    });
    signal.addEventListener("abort", stop, { once: true });
    alive();
    request.send(body);
  });

const refusalOf = (request) => {
  if (!request.status) return LOST;
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return `The storage refused the file (${request.status}). Try again.`;
  }
};

// Lets so many requests through at once, and then so many each second.
class Pace {
  constructor({ burst, perSecond }) {
    this.left = burst;
    this.burst = burst;
    this.every = 1000 / perSecond;
    this.filled = performance.now();
  }
  async turn(signal) {
    const now = performance.now();
    this.left = Math.min(this.burst, this.left + (now - this.filled) / this.every);
    this.filled = now;
    this.left -= 1;
    if (this.left < 0) await pause(-this.left * this.every, signal);
  }
}

export class UploadQueue extends EventTarget {
  // endpoint: the path of the uploads; query: "" or "?mode=test"; atOnce: files that may begin at once
  constructor({ endpoint, query, atOnce }) {
    super();
    Object.assign(this, { endpoint, query, atOnce });
    this.items = [];
    this.isPaused = false;
    this.lost = null; // when the connection is tried again, while it is lost
    this.losses = 0;
    this.pace = new Pace(REQUESTS);
    this.number = 0;
    addEventListener("online", () => this.tryNow());
  }

  add(file, { name, type, collectionId, refusal }) {
    const item = {
      id: ++this.number, file, name, type, collectionId, size: file.size, sent: 0,
      state: refusal ? "failed" : this.isPaused ? "paused" : "waiting",
      problem: refusal ?? null, mayRetry: !refusal, slot: null, asset: null, losses: 0, tries: 0,
    };
    this.items.push(item);
    this.pumpSoon();
    return item;
  }

  // Once for all files that are added in a row.
  pumpSoon() {
    if (this.willPump) return;
    this.willPump = true;
    queueMicrotask(() => {
      this.willPump = false;
      this.pump();
    });
  }

  of(...states) {
    return this.items.filter((item) => states.includes(item.state));
  }

  get isBusy() {
    return this.items.some(({ state }) => ["waiting", "sending", "storing", "paused"].includes(state));
  }

  pause(item) {
    if (!["waiting", "sending"].includes(item.state)) return;
    item.state = "paused";
    item.controller?.abort();
    this.pump();
  }
  resume(item) {
    if (item.state !== "paused") return;
    item.state = "waiting";
    this.isPaused = false;
    this.pump();
  }
  pauseAll() {
    this.isPaused = true;
    for (const item of this.of("waiting", "sending")) {
      item.state = "paused";
      item.controller?.abort();
    }
    this.pump();
  }
  resumeAll() {
    this.isPaused = false;
    for (const item of this.of("paused")) item.state = "waiting";
    this.tryNow();
  }
  retry(item) {
    if (item.state !== "failed" || !item.mayRetry) return;
    Object.assign(item, { problem: null, losses: 0, tries: 0, state: item.isSent ? "storing" : "waiting" });
    this.tryNow();
  }
  retryAll() {
    for (const item of this.of("failed")) this.retry(item);
  }
  cancel(item) {
    if (item.state === "storing" && item.controller) return; // it is an asset any moment
    if (item.slot && item.state !== "done") this.release(item.slot);
    item.state = "cancelled";
    item.controller?.abort();
    this.items = this.items.filter((one) => one !== item);
    this.pumpSoon();
  }
  cancelAll() {
    for (const item of this.items) if (item.state !== "done") this.cancel(item);
  }
  forget(item) {
    this.items = this.items.filter((one) => one !== item);
    this.changed();
  }
  tryNow() {
    clearTimeout(this.timer);
    this.lost = null;
    this.changed();
    this.pump();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  pump() {
    if (!this.lost) this.start();
    this.changed();
  }
  start() {
    for (const item of this.of("waiting").slice(0, SENDING_AT_ONCE - this.of("sending").length)) {
      item.state = "sending";
      this.work(item, () => this.send(item));
    }
    const storing = this.of("storing");
    const free = STORING_AT_ONCE - storing.filter(({ controller }) => controller).length;
    for (const item of storing.filter(({ controller }) => !controller).slice(0, free)) {
      this.work(item, () => this.finalize(item));
    }
  }

  // Runs a step of an item. What may pass is tried again, the rest stands at the item's line.
  async work(item, step) {
    const { state } = item;
    const controller = (item.controller = new AbortController());
    try {
      await step();
      this.losses = 0;
    } catch (problem) {
      if (!controller.signal.aborted) await this.broken(item, problem, state);
    } finally {
      if (item.controller === controller) item.controller = null;
      this.pump();
    }
  }

  async broken(item, problem, state) {
    if (!(problem instanceof Refusal)) {
      this.failed(item, "This browser could not read the file. Choose it again.", false);
      console.warn(problem);
    } else if (problem.isLoss && (!navigator.onLine || item.losses++ < MOST_LOSSES)) {
      item.state = state === "sending" ? "waiting" : state;
      this.wait();
    } else if (problem.isBusy && item.tries++ < MOST_LOSSES) {
      const wait = problem.wait ?? Math.min(LONGEST_WAIT_MS, 1000 * 2 ** item.tries);
      await pause(wait, item.controller.signal).catch(() => {});
      if (item.state === state && state === "sending") item.state = "waiting";
    } else if (GONE.has(problem.status) && !item.isNew) {
      if (item.slot) this.release(item.slot);
      Object.assign(item, { slot: null, sent: 0, isSent: false, isNew: true, state: "waiting" });
    } else {
      this.failed(item, problem.message, !FOR_GOOD.has(problem.status));
    }
  }

  failed(item, problem, mayRetry) {
    if (!mayRetry || !item.isSent) item.sent = 0;
    if (!mayRetry && item.slot) {
      this.release(item.slot);
      item.slot = null;
    }
    Object.assign(item, { state: "failed", problem, mayRetry, isNew: false });
  }

  // All files wait while the connection is lost, so that not each of them finds it out.
  wait() {
    if (this.lost) return; // by another file
    const milliseconds = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** this.losses++) * (0.75 + Math.random() / 2);
    this.lost = Date.now() + milliseconds;
    this.timer = setTimeout(() => this.tryNow(), milliseconds);
  }

  async send(item) {
    const { signal } = item.controller;
    await item.beginning;
    if (!item.slot) await this.begin(item);
    signal.throwIfAborted();
    if (item.slot.count) await this.sendParts(item, signal);
    else {
      await put(item.slot.url, item.slot.headers, item.file, signal, (sent) => this.progress(item, sent));
    }
    Object.assign(item, { sent: item.size, isSent: true, state: "storing", losses: 0, tries: 0 });
  }

  async sendParts(item, signal) {
    const { storageKey, partSize, count } = item.slot;
    const { numbers } = await this.ask("/arrived", { storageKey }, signal);
    const there = new Set(numbers);
    const start = (number) => (number - 1) * partSize;
    const bytes = (number) => Math.min(item.size, start(number) + partSize) - start(number);
    const whole = () => [...there].reduce((sum, number) => sum + bytes(number), 0);
    this.progress(item, whole());
    for (let number = 1; number <= count; number += 1) {
      if (there.has(number)) continue;
      const { parts } = await this.ask("/parts", { storageKey, numbers: [number] }, signal);
      const part = item.file.slice(start(number), start(number) + bytes(number));
      const before = whole();
      await put(parts[0].url, {}, part, signal, (sent) => this.progress(item, before + sent));
      there.add(number);
      Object.assign(item, { losses: 0, tries: 0 });
    }
    await this.ask("/complete", { storageKey }, signal);
  }

  async finalize(item) {
    const { storageKey } = item.slot;
    const body = { storageKey, ...declared(item), collectionId: item.collectionId };
    try {
      item.asset = await this.ask("/finalize", body, item.controller.signal);
    } catch (problem) {
      if (problem.errors?.some((error) => error.startsWith("size:"))) problem.message = CHANGED;
      throw problem;
    }
    Object.assign(item, { state: "done", file: null });
    this.dispatchEvent(new CustomEvent("added", { detail: item }));
  }

  progress(item, sent) {
    item.sent = sent;
    this.changed();
  }

  // Small files that come next begin with this one, in one request.
  async begin(item) {
    const next = this.of("waiting").filter(({ slot, beginning, size }) => !slot && !beginning && size <= SMALL);
    const items = item.size > SMALL ? [item] : [item, ...next.slice(0, this.atOnce - 1)];
    const asked = this.ask("", { files: items.map(declared) }).then(({ uploads }) => {
      uploads.forEach((slot, index) => {
        if (slot.storageKey && items[index].state === "cancelled") this.release(slot);
        else if (slot.storageKey) items[index].slot = slot;
      });
      return uploads[0];
    });
    for (const other of items.slice(1)) {
      other.beginning = asked.catch(() => {}).finally(() => (other.beginning = null));
    }
    const own = await asked;
    if (!own.storageKey) throw new Refusal(own.error, own);
  }

  release({ storageKey }) {
    this.ask("/cancel", { storageKey }).catch(() => {}); // it expires by itself, too
  }

  async ask(path, body, signal) {
    await this.pace.turn(signal);
    let response;
    try {
      response = await fetch(`${this.endpoint}${path}${this.query}`, {
        method: "POST",
        headers: { Accept: "application/json", "Content-Type": "application/json" },
        body: JSON.stringify(body),
        redirect: "manual",
        signal,
      });
      if (response.status === 204) return null;
      const answer = await response.json().catch(() => null);
      if (response.ok && answer) return answer;
      if (response.type === "opaqueredirect") throw new Refusal(SIGNED_OUT, { status: 401 });
      const seconds = Number(response.headers.get("Retry-After"));
      throw new Refusal(answer?.error ?? `The server answered ${response.status}. Try again.`, {
        status: response.status,
        wait: seconds ? seconds * 1000 : null,
        errors: answer?.errors,
      });
    } catch (problem) {
      if (problem instanceof Refusal || signal?.aborted) throw problem;
      throw new Refusal(LOST);
    }
  }
}

const declared = ({ name, type, size }) => ({ originalName: name, mimeType: type, size });
