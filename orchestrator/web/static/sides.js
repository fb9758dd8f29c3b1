// On which side of its point of no return each migration is, and what is right to do there, in the words of report and `status`.

import { byId, coded, make, renew, say } from "./dom.js";
import { listed, number } from "./words.js";

export function drawSides(run) {
  byId("sides").hidden = !run.whole; // until each migration's place is known
  if (!run.whole) return;
  const sides = run.sides(), counts = new Map();
  for (const { side, names } of sides) counts.set(side, (counts.get(side) || 0) + names.length);
  say(byId("sides-line"), [...counts].map(([side, count]) => `${number(count)} ${side}`).join(", "));
  const known = JSON.stringify(sides);
  const body = byId("sides-rows");
  if (body.dataset.known === known) return;
  body.dataset.known = known;
  renew(body, ...sides.map(({ side, point, names, what_is_right: right }) => make("tr", { "data-part": point },
    make("th", { scope: "row" }, side), make("td", {}, point),
    make("td", {}, `${number(names.length)}: ${listed(names)}`), make("td", {}, ...coded(right)))));
}
