// One connection to the server for everything that a browser's windows follow: a browser opens six to one server and no more.

const AGAIN_AFTER = 3000; // milliseconds

const MOST_TOPICS = 64; // as in streams.py; a window beyond them gets no beat, and so says that it has no news

export class Hub {
  #windows = new Map(); // what tells a window -> the topic that it follows
  #places = new Map(); // topic -> where we are in it
  #source = null;
  #again = 0;
  #key = ""; // the session's
  #every = 5000; // milliseconds between two beats; the server says so

  // tell: called with {kind, data}: text, which passes quickly to another window; what is followed is sent whole first, to all who follow it.
  follow(tell, topic, key) {
    this.#key = key;
    this.#windows.set(tell, topic);
    this.#places.set(topic, "");
    this.#open();
  }

  leave(tell) {
    this.#windows.delete(tell);
    const wanted = new Set(this.#windows.values());
    for (const topic of this.#places.keys()) if (!wanted.has(topic)) this.#places.delete(topic);
    if (!wanted.size) this.#close();
  }

  #open() {
    this.#close();
    const followed = [...this.#places].slice(0, MOST_TOPICS), topics = new Set(followed.map(([topic]) => topic));
    const asked = followed.map(([topic, place]) => `follow=${encodeURIComponent(place ? `${topic}@${place}` : topic)}`);
    const source = new EventSource(`/api/events?${[...asked, `key=${encodeURIComponent(this.#key)}`].join("&")}`);
    this.#source = source;
    this.#retryIn(2 * this.#every + AGAIN_AFTER);
    for (const kind of ["snapshot", "delta", "runs"]) source.addEventListener(kind, (event) => this.#take(kind, event));
    source.addEventListener("beat", ({ data }) => {
      this.#every = JSON.parse(data).every * 1000;
      this.#retryIn(2 * this.#every + AGAIN_AFTER);
      for (const [tell, topic] of this.#windows) if (topics.has(topic)) tell({ kind: "beat", data });
    });
    source.addEventListener("error", () => this.#failed());
  }

  // A connection that is silent may be one whose other end is gone.
  #retryIn(milliseconds) {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#open(), milliseconds);
  }

  #close() {
    clearTimeout(this.#again);
    this.#source?.close();
    this.#source = null;
  }

  #take(kind, { lastEventId, data }) {
    const [topic, place] = lastEventId.split("@");
    if (!this.#places.has(topic)) return;
    this.#places.set(topic, place);
    for (const [tell, its] of this.#windows) if (its === topic) tell({ kind, data });
  }

  async #failed() {
    this.#close();
    for (const tell of this.#windows.keys()) tell({ kind: "lost" });
    this.#retryIn(AGAIN_AFTER);
    if (await refused(this.#key)) {
      this.#close();
      for (const tell of this.#windows.keys()) tell({ kind: "refused" });
    }
  }
}

// Whether the server is there and does not let us in any more (it was started again: no session outlives it).
async function refused(key) {
  try {
    return [401, 403].includes((await fetch(`/api/session?key=${encodeURIComponent(key)}`, { cache: "no-store" })).status);
  } catch {
    return false;
  }
}
