
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = readRows(data);
  for (const part of document.querySelectorAll("[data-scripted]")) part.hidden = false;
  const table = new MigrationTable(document.getElementById("migrations"), data, rows);
  new Timeline(document.getElementById("timeline"), data, rows);
  for (const tile of document.querySelectorAll("[data-outcome]")) {
    tile.addEventListener("click", () => table.show(tile.dataset.outcome));
  }
})();
