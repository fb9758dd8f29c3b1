// The list of runs, the newest first.

import { arrange, byId, chip, make, oncePerFrame, say } from "./dom.js";
import { withTimes } from "./model.js";
import { now } from "./now.js";
import { follow } from "./stream.js";
import { show } from "./views.js";
import { RUN_OUTCOMES, duration, full, moment, number, zoneName } from "./words.js";

const A_PAGE = 25; // runs
const KINDS = {
  "": () => true,
  open: (run) => run.running || run.unfinished,
  bad: (run) => !run.running && run.outcome !== "SUCCESS",
  real: (run) => !run.rehearsal,
};

export function showRuns() {
  document.title = "Runs · atlas-cutover";
  show("runs-view");
  let runs = [], first = 0;
  const rows = new Map(); // by the run's id
  const draw = oncePerFrame(() => {
    const words = byId("runs-search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = KINDS[byId("runs-kind").value];
    const found = runs.filter((run) => wanted(run) && words.every((word) => `${run.workflow} ${run.run_id} ${run.outcome || ""}`.toLowerCase().includes(word)));
    first = Math.min(first, Math.max(0, Math.ceil(found.length / A_PAGE) - 1) * A_PAGE);
    const seen = found.slice(first, first + A_PAGE);
    for (const id of rows.keys()) if (!seen.some((run) => run.run_id === id)) rows.delete(id);
    arrange(byId("runs-rows"), seen.length ? seen.map((run) => row(rows, run)) : [make("tr", {}, make("td", { colspan: 5, class: "none" }, "Nothing passes the filters."))]);
    say(byId("runs-count"), found.length === runs.length ? `${number(runs.length)} shown` : `${number(found.length)} of ${number(runs.length)} shown`);
    say(byId("runs-page"), `${number(first + 1)} to ${number(first + seen.length)} of ${number(found.length)}`);
    byId("runs-pager").hidden = found.length <= A_PAGE;
    byId("runs-newer").disabled = first === 0;
    byId("runs-older").disabled = first + A_PAGE >= found.length;
  });
  const turn = (by) => {
    first = Math.max(0, first + by);
    draw();
  };
  byId("runs-newer").addEventListener("click", () => turn(-A_PAGE));
  byId("runs-older").addEventListener("click", () => turn(A_PAGE));
  for (const id of ["runs-search", "runs-kind"]) byId(id).addEventListener("input", () => turn(-Infinity));
  follow("*", {
    runs({ runs: all, journal, error }) {
      const note = error || (all.length ? "" : journal
        ? "No run has been started yet. It appears here when one is."
        : "There is no journal in this state directory yet. Runs appear here when one is started.");
      say(byId("runs-note"), note);
      byId("runs-note").hidden = !note;
      byId("runs-found").hidden = !all.length;
      say(byId("runs-started"), `Started (${zoneName(now())})`);
      runs = withTimes(all);
      draw();
    },
    fresh() {},
  });
}

// Its row, filled again where it tells something else than before.
function row(rows, run) {
  if (!rows.has(run.run_id)) rows.set(run.run_id, make("tr"));
  const element = rows.get(run.run_id), told = JSON.stringify(run);
  if (element.dataset.told === told) return element;
  element.dataset.told = told;
  const stands = Object.values(RUN_OUTCOMES).find(({ word }) => word === run.stands) || RUN_OUTCOMES.RUNNING;
  const outcome = run.running ? stands : RUN_OUTCOMES[run.outcome || "INTERRUPTED"];
  const took = run.finished_at ? `after ${duration(run.finished_at - run.started_at)}` : "";
  const rest = !run.running && run.unfinished ? "unfinished" : took;
  const focused = element.contains(document.activeElement);
  element.replaceChildren(
    make("th", { scope: "row", title: run.workflow }, make("a", { href: `/runs/${encodeURIComponent(run.run_id)}` }, run.workflow),
      run.rehearsal ? make("span", { class: "tag" }, "rehearsal") : null),
    make("td", {}, chip(outcome), make("span", { class: "quiet" }, rest)),
    make("td", { title: full(run.started_at) }, moment(run.started_at)),
    make("td", { class: "num" }, number(run.migrations)),
    make("td", {}, make("code", {}, run.run_id)));
  if (focused) element.querySelector("a").focus();
  return element;
}
