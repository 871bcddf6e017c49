// What the editor asks of the server, and what it remembers over a reload.

// Where the browser has no room for it, it ends with the page.
export class Memory {
  #held = {};

  constructor(prefix) {
    this.prefix = prefix;
  }

  set(name, value) {
    this.#held[name] = value;
    try {
      sessionStorage.setItem(`${this.prefix} ${name}`, JSON.stringify(value));
    } catch {
      // Full or forbidden.
    }
  }

  get(name) {
    try {
      return JSON.parse(sessionStorage.getItem(`${this.prefix} ${name}`)) ?? this.#held[name];
    } catch {
      return this.#held[name];
    }
  }
}

const AWAY = "You are signed out. Sign in in another tab, then try again: nothing here is lost.";
class SignedOut extends Error {}
// The sentence for a request that did not get through.
export const saysOf = (error, otherwise) =>
  error instanceof SignedOut ? AWAY : `The server can't be reached. ${otherwise}`;

const pauseOf = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

export class Server {
  constructor({ url, query }, memory) {
    this.url = url;
    this.query = query;
    this.memory = memory;
  }

  async post(path, body, options = {}) {
    const answer = await fetch(`${this.url}${path}${this.query}`, {
      method: "POST",
      body: JSON.stringify(body),
      ...options,
      headers: { "Content-Type": "application/json", Accept: "application/json", ...options.headers },
    });
    if (answer.redirected) throw new SignedOut();
    return answer;
  }

  async pictures(text) {
    const asked = new URLSearchParams(this.query);
    asked.set("q", text);
    const answer = await fetch(`${this.url}/pictures?${asked}`, { headers: { Accept: "application/json" } });
    if (answer.redirected) throw new Error(AWAY);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  // Make a new image. The same body is sent under the same key until it was answered, so that a
  // repetition after a lost connection finds the image that the first attempt made.
  async make(path, body) {
    const options = { headers: { "Idempotency-Key": this.#keyFor(path + JSON.stringify(body)) } };
    for (let tries = 0; ; tries += 1) {
      const answer = await this.post(path, body, options);
      const made = await answer.json().catch(() => ({}));
      // While an earlier attempt is still at work, its outcome is waited for.
      if (made.code === "idempotency_in_flight" && tries < 20) {
        await pauseOf(Number(answer.headers.get("Retry-After") ?? 2));
        continue;
      }
      // What was refused is looked at anew the next time.
      if (answer.status < 500) this.memory.set("key", null);
      return { ...made, ok: answer.ok };
    }
  }

  #keyFor(text) {
    const last = this.memory.get("key");
    if (last?.text === text) return last.key;
    const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    this.memory.set("key", { text, key });
    return key;
  }
}
