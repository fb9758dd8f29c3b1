// The session's key. Cookies go to every port of a host; what a page stores stays with its own.

const NAME = "atlas-cutover key";

export function keep(key) {
  localStorage.setItem(NAME, key);
}

export function key() {
  return localStorage.getItem(NAME) || "";
}
