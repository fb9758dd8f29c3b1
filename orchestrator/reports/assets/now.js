// What time it is (Unix seconds), by the clock of the server that the page is from. While nothing is heard from it the time stands
// still: what is on the page is as it was then.

let ahead = 0; // seconds by which the server's clock is before the reader's
let stopped = null;

export function now() {
  return stopped ?? Date.now() / 1000 + ahead;
}

// The server said that it is this time there.
export function set(at) {
  ahead = at - Date.now() / 1000;
  stopped = null;
}

export function stop(at) {
  stopped = at;
}
