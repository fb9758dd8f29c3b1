// What people have decided about the run: who, when, why, about what, as the report's table of decisions.

import { byId, make, renew, say } from "./dom.js";
import { now } from "./now.js";
import { moment, number, zoneName } from "./words.js";

export function drawDecisions({ count, newest }) {
  byId("decisions").hidden = !count;
  const body = byId("decisions-rows"), known = JSON.stringify([count, newest, zoneName(now())]);
  if (!count || body.dataset.known === known) return;
  body.dataset.known = known;
  const { at, what, about, who } = newest[0];
  say(byId("decisions-line"), `${number(count)}, the last: ${what}, ${about}, by ${who}, ${moment(at)} ${zoneName(at)}`);
  say(byId("decisions-when"), `When (${zoneName(now())})`);
  renew(body, ...newest.map((each, place) => make("tr", { "data-part": count - place },
    make("td", { class: "time" }, moment(each.at)), make("th", { scope: "row" }, each.what),
    make("td", {}, each.about), make("td", {}, each.who), make("td", {}, each.reason || "-"))));
  const more = count - newest.length;
  byId("decisions-more").hidden = !more;
  say(byId("decisions-more"), `And ${number(more)} before these: the report has them all.`);
}
