"use strict";
// Sorting by the headers, and filtering by family, task and text.  The page reads well without any of it.

function value(row, column) {
  const cell = row.cells[column];
  return cell.dataset.n === undefined ? cell.textContent.trim() : cell.dataset.n === "" ? null : Number(cell.dataset.n);
}

function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(header) {
  const heads = [...header.parentElement.cells];
  const column = heads.indexOf(header);
  const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const body = header.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => [value(row, column), row]);
  rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
  body.append(...rows.map(([, row]) => row)); // what has no number stays last both ways
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}

const controls = { family: document.getElementById("family"), task: document.getElementById("task") };
const text = document.getElementById("text");

function filter() {
  const family = controls.family.value, task = controls.task.value, words = text.value.toLowerCase().split(/\s+/);
  const items = document.querySelectorAll("[data-family]");
  let shown = 0, rows = 0;
  for (const item of items) {
    const content = item.textContent.toLowerCase();
    const keeps = (!family || item.dataset.family.split("|").includes(family)) && (!task || JSON.parse(item.dataset.tasks).includes(task))
      && words.every((word) => content.includes(word));
    item.hidden = !keeps;
    if (item.tagName === "TR") { rows += 1; shown += keeps; }
  }
  for (const block of document.querySelectorAll("[data-block]")) { // inner blocks come later, so the other way round
    block.hidden = !block.querySelector("[data-family]:not([hidden])");
  }
  const isAll = !family && !task && !text.value.trim();
  document.getElementById("shown").textContent = isAll ? `${rows} rows` : `${shown} of ${rows} rows`;
  document.getElementById("reset").hidden = isAll;
}

for (const control of [controls.family, controls.task]) control.addEventListener("change", filter);
text.addEventListener("input", filter);
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("reset").addEventListener("click", () => {
  controls.family.value = controls.task.value = text.value = "";
  filter();
  text.focus();
});
document.getElementById("filters").hidden = false;
filter();
