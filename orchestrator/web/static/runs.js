// The list of runs.

import { chip, byId, make, say } from "./dom.js";
import { withTimes } from "./model.js";
import { follow } from "./stream.js";
import { show } from "./views.js";
import { RUN_OUTCOMES, duration, full, moment, number } from "./words.js";

export function showRuns() {
  document.title = "Runs · atlas-cutover";
  show("runs-view");
  follow("*", { runs: draw, fresh: () => {} });
}

function draw({ runs, journal, error }) {
  const note = error || (runs.length ? "" : journal
    ? "No run has been started yet. It appears here when one is."
    : "There is no journal in this state directory yet. Runs appear here when one is started.");
  say(byId("runs-note"), note);
  byId("runs-note").hidden = !note;
  byId("runs-scroller").hidden = !runs.length;
  const focused = document.activeElement?.getAttribute("href");
  byId("runs-rows").replaceChildren(...withTimes(runs).map(row));
  if (focused) document.querySelector(`#runs-rows a[href="${CSS.escape(focused)}"]`)?.focus();
}

function row(run) {
  const outcome = run.running ? "RUNNING" : run.outcome || "INTERRUPTED";
  const took = run.finished_at ? `after ${duration(run.finished_at - run.started_at)}` : "";
  const rest = !run.running && run.unfinished ? "unfinished" : took;
  return make("tr", {},
    make("td", {}, make("a", { href: `/runs/${encodeURIComponent(run.run_id)}`, class: "mono" }, run.run_id)),
    make("td", { class: "wrap" }, run.workflow,
      run.rehearsal ? make("span", { class: "tag" }, "rehearsal") : null),
    make("td", { title: full(run.started_at) }, moment(run.started_at)),
    make("td", { class: "num" }, number(run.migrations)),
    make("td", {}, chip(RUN_OUTCOMES[outcome]), make("span", { class: "quiet" }, rest)));
}
