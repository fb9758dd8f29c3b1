// What time it is (Unix seconds), by the clock of the server that the page is from. While nothing is heard from it the time stands
// still: what is on the page is as it was then.

let ahead = 0; // seconds by which the server's clock is before the reader's
let stopped = null;
let last = null;

export function now() {
  return stopped ?? Date.now() / 1000 + ahead;
}

// The server said that it is this time there.
export function set(text) {
  last = text;
  ahead = Date.parse(text) / 1000 - Date.now() / 1000;
  stopped = null;
}

// When what is on the page was so, as the server said it last; null: it has not.
export function asOf() {
  return last;
}

export function stop(at) {
  stopped = at;
}
