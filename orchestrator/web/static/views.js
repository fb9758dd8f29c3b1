// The parts of the page: one view at a time.

import { byId } from "./dom.js";

export function show(view) {
  const main = byId("main");
  main.replaceChildren(byId(view).content.cloneNode(true));
  return main;
}
