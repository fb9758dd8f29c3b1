// The question before anything is asked of a run: what will happen, what is known that bears on it, and who decides.

import { byId, say, sayEach } from "./dom.js";
import { now } from "./now.js";
import { settled } from "./settled.js";
import { both, budgetInWords, counts, duration, expiry, number, plural, sentence } from "./words.js";

const NAME = "atlas-cutover name"; // under which the browser keeps who its reader is

const FEW = 4; // waves before that are told one by one, whatever they came to

let redraw = null; // the question that is asked now, as the run stands by now

let known = true; // whether what it says is so now

// Without news nothing is decided; what was typed waits for the next.
export function questionKnows(it) {
  known = it;
  redrawQuestion();
}

// The question that is on the screen goes on saying what is so: the run does not wait for its answer.
export function redrawQuestion() {
  if (byId("confirm").open) redraw?.();
}

// What is to be sent with the request: who, why, and what else was typed; null where they went back. before: what was typed when it was refused;
// the number is typed anew.
export function confirmed(run, asking, before = {}) {
  const { title, yes, danger = false } = question(run, asking);
  let count = null; // of migrations, where it has to be typed
  let covers = null; // which these are
  let others = false; // than those that were asked about first
  const { decided } = run.decisions; // how many: what was decided against this while it is asked was not known to whoever answers
  let over = ""; // why there is nothing to decide any more
  say(byId("confirm-title"), title);
  say(byId("confirm-yes"), yes);
  byId("confirm-yes").className = danger ? "danger solid" : "primary";
  byId("gate-fields").hidden = asking.command !== "gate";
  byId("confirm-count").value = "";
  for (const [id, name] of [["confirm-reason", "reason"], ["gate-lag", "max_lag"], ["gate-timeout", "timeout"]]) byId(id).value = before[name] ?? "";
  byId("gate-off").checked = Boolean(before.off);
  const named = document.querySelector("meta[name=who]").content; // by their token
  byId("confirm-who").value = named || localStorage.getItem(NAME) || "";
  byId("confirm-who").readOnly = Boolean(named);
  const check = () => {
    const given = byId("confirm-count").value.trim(), typed = count === null || written(given) === String(count);
    say(byId("confirm-count-wrong"), given && !typed ? "That is another number." : "");
    const gate = asking.command !== "gate" || byId("gate-off").checked || byId("gate-lag").value.trim() || byId("gate-timeout").value.trim();
    byId("confirm-yes").disabled = !known || Boolean(over) || !(typed && gate && byId("confirm-who").value.trim());
  };
  redraw = () => {
    const { text, facts = [], count: wanted = null, covers: which = null } = question(run, asking);
    if (covers !== null && which !== null && which !== covers) {
      others = true;
      byId("confirm-count").value = ""; // it was the number of those
    }
    [count, covers] = [wanted, which ?? covers];
    over = settled(run, asking);
    say(byId("confirm-over"), over && `${over} There is nothing left to decide here.`);
    say(byId("confirm-text"), over ? "" : text);
    const changed = others ? "Which of its migrations these are has changed since you were asked: go back and look at them." : null;
    sayEach(byId("confirm-facts"), (over ? [] : [changed, ...facts]).filter(Boolean));
    byId("confirm-count-field").hidden = count === null || Boolean(over);
    if (count !== null) say(byId("confirm-count-label"), `Type the number of migrations that this cuts over (${number(count)})`);
    check();
    if (over && document.activeElement === document.body) byId("confirm-no").focus(); // from a button that is off now
  };
  byId("confirm-form").oninput = check;
  byId("confirm-form").onkeydown = (event) => {
    if (event.key === "Enter" && event.target.tagName === "INPUT") event.preventDefault(); // it would press the first button, Back
  };
  redraw();
  const dialog = byId("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  byId("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? given(asking, count, covers, decided) : null), { once: true });
  });
}

// The digits of a number that may have a sign between its thousands, as the question has it.
function written(text) {
  return /^\d{1,3}([\s,.'’])\d{3}(?:\1\d{3})*$/.test(text) ? text.replace(/\D/g, "") : text;
}

function given({ command }, count, covers, decided) {
  const value = (id) => byId(id).value.trim();
  localStorage.setItem(NAME, value("confirm-who"));
  const gate = byId("gate-off").checked ? { off: true } : { max_lag: value("gate-lag"), timeout: value("gate-timeout") };
  return { who: value("confirm-who"), decided, reason: value("confirm-reason"), ...(count === null ? {} : { count }), ...(covers === null ? {} : { covers }), ...(command === "gate" ? gate : {}) };
}

function question(run, { command, wave, migrations = [] }) {
  const { head } = run;
  const where = head.rehearsal ? "in this rehearsal" : `of run ${head.run_id}`;
  const final = head.rehearsal ? "Nothing is cut over at Atlas." : "A cutover cannot be undone.";
  const { REQUESTED = 0, CUTOVER = 0, DOUBT = 0 } = run.states(), underWay = REQUESTED + CUTOVER + DOUBT;
  const followed = underWay
    ? `${plural(underWay, "cutover")} under way ${underWay === 1 ? "is" : "are"} followed to ${underWay === 1 ? "its" : "their"} end.`
    : "No cutover is under way.";
  const which = migrations.length === 1 ? migrations[0] : plural(migrations.length, "migration");
  switch (command) {
    case "approve": {
      const it = head.waves.find(({ name }) => name === wave);
      return {
        title: `Approve wave ${wave}?`,
        text: `${itsMigrations(it)} ${where} will be cut over. ${final}`,
        yes: `Approve ${wave}`,
        facts: [it.expires_at == null ? null : sentence(`where nobody answers, it ${expiry(it.expires_at)}`), ...before(head, it), windowLeft(head), head.paused ? "The run is paused: nothing starts before somebody unpauses it, too." : null, takes(head)],
        count: head.rehearsal ? null : it.to_cut_over,
        covers: it.covers,
      };
    }
    case "reject": {
      const from = head.waves.findIndex(({ name }) => name === wave);
      const rest = head.waves.slice(from).reduce((sum, { to_cut_over: count }) => sum + count, 0);
      return { title: `Reject wave ${wave}?`, text: `It and the waves after it, ${plural(rest, "migration")} ${where}, are not started. ${followed}`, yes: `Reject ${wave}`, danger: true };
    }
    case "skip":
      return { title: `Skip ${which}?`, text: `It is not started any more ${where}, until somebody retries it.`, yes: "Skip" };
    case "retry":
      if (migrations.every((name) => run.rows[run.number(name)]?.state === "UNVERIFIED")) {
        return { title: `Verify ${which} again?`, text: `Its verification runs again ${where}. No PUT is sent.`, yes: "Verify again" };
      }
      return { title: `Retry ${which}?`, text: `What had no PUT goes to its gate again and is cut over ${where}; what is UNVERIFIED is verified again. ${final}`, yes: "Retry" };
    case "gate":
      return { title: `Change the gate of ${which}?`, text: `It decides at how much lag the cutover ${where} may start. ${final}`, yes: "Change the gate" };
    case "pause":
      return { title: "Pause the run?", text: `No new cutover ${where} starts until somebody unpauses it. ${followed}`, yes: "Pause" };
    case "unpause":
      return { title: "Unpause the run?", text: `Cutovers ${where} start again. ${final}`, yes: "Unpause" };
    default:
      return { title: "Abort the run?", text: `No further cutover ${where} starts, now or later: the rest of the run is over. ${followed} This cannot be undone.`, yes: "Abort the run", danger: true };
  }
}

// Those that are left: what was skipped, or has ended in an earlier session, gets no PUT.
function itsMigrations({ migrations, to_cut_over: left }) {
  return left === migrations ? `Its ${plural(left, "migration")}` : `${number(left)} of its ${plural(migrations, "migration")}`;
}

// How the waves before went, against what they may have of failures; of many, those in which nothing went wrong together.
function before(head, wave) {
  const waves = head.waves.slice(0, head.waves.indexOf(wave)).filter(({ migrations }) => migrations);
  if (!waves.length) return ["It is the first wave: nothing has been cut over before it."];
  const good = waves.length > FEW ? waves.filter(({ states }) => Object.keys(states).every((state) => state === "SUCCESS")) : [];
  const told = good.length > 1 ? [`${plural(good.length, "wave")} with ${counts({ SUCCESS: good.reduce((sum, { migrations }) => sum + migrations, 0) })} and no failure.`] : [];
  for (const each of waves) if (!told.length || !good.includes(each)) told.push(`${each.name}: ${counts(each.states)}. ${sentence(budgetInWords(each))}`);
  return [...told, `${wave.name}: ${budgetInWords(wave)}.`];
}

function windowLeft(head) {
  const { opening, window } = head;
  if (!window) return "There is no window: cutovers may start at any time.";
  if (!opening) return `The window: ${window.rule}.`;
  const last = opening.last_start ?? opening.closes, closes = both(opening.closes);
  const starts = last < opening.closes ? `, until ${both(last)}` : "";
  if (opening.opens != null) return `The window opens ${both(opening.opens)}, in ${duration(opening.opens - now())}, and closes ${closes}. Cutovers may start ${starts ? `from then on${starts}` : "in all of it"}.`;
  if (last <= now()) return "The window is over: no cutover starts in it any more.";
  return `The window closes ${closes}, in ${duration(opening.closes - now())}.${starts ? ` Cutovers may start for another ${duration(last - now())}${starts}.` : ""}`;
}

function takes(head) {
  if (!head.cutovers_left) return "How long it will take is not known: fewer than three cutovers are done.";
  const [low, high] = head.cutovers_left.map(duration);
  return `All cutovers that are left take ${low === high ? `about ${high}` : `${low} to ${high}`}, judged by those that are done.`;
}
