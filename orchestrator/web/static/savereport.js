// The report of a run as one file: fetched with the session's key, which stands in no address, and kept by the browser.

import { make } from "./dom.js";
import { key } from "./key.js";

export function reportButton(runId) {
  const button = make("button", { type: "button", class: "link", onclick: async () => {
    button.disabled = true;
    button.textContent = "Report is being made …";
    const text = await save(runId).then(() => "Report (HTML)", () => "Report: not to be had now; try again");
    button.textContent = text;
    button.disabled = false;
  } }, "Report (HTML)");
  return button;
}

async function save(runId) {
  const header = document.querySelector("meta[name=key-header]").content;
  const answer = await fetch(`/api/runs/${runId}/report.html`, { headers: { [header]: key() } });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const address = URL.createObjectURL(await answer.blob());
  make("a", { href: address, download: `report-${runId}.html` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
