// report.html: a run that is over, drawn from the data inside the page. All times are UTC, wherever it is read.

import { copyable } from "./copy.js";
import { Details } from "./details.js";
import { byId } from "./dom.js";
import { Run } from "./model.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";
import { useZone } from "./words.js";

useZone("UTC");
const run = new Run();
run.takeSnapshot(JSON.parse(byId("data").textContent));
for (const part of document.querySelectorAll("[data-scripted]")) part.hidden = false;
const details = new Details(run);
const open = (index) => details.open(index);
const table = new Table(run, open, { without: ["lag"] });
table.refresh();
details.refresh();
new Timeline(byId("timeline"), run, ({ index, wave }) => (index == null ? table.showWave(wave) : open(index))).draw();
for (const tile of document.querySelectorAll("[data-outcome]")) {
  tile.addEventListener("click", () => table.show(tile.dataset.outcome));
}
for (const code of document.querySelectorAll("[data-copy]")) code.replaceWith(copyable(code.textContent));
