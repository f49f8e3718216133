// Sorts and filters tables, shows long ones a page at a time, copies commands. The page says everything without it.
"use strict";

const collator = new Intl.Collator("en", { numeric: true });

// What a table is sorted and filtered by: its rows where one body holds them all, else its bodies.
function unitsOf(table) {
  const rows = table.querySelector("tbody.rows");
  if (rows) return [...rows.rows];
  return [...table.tBodies].filter((body) => !body.matches(".total, .foot"));
}

function sortBy(heading) {
  const table = heading.closest("table");
  const place = [...heading.parentNode.children].indexOf(heading);
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const number = heading.classList.contains("number");
  const key = (unit) => {
    const cell = (unit.rows ? unit.rows[0] : unit).cells[place];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return number ? Number(text.replaceAll(",", "")) || 0 : text;
  };
  const order = (a, b) => (typeof a === "number" ? a - b : collator.compare(a, b));
  const units = unitsOf(table).map((unit) => [key(unit), unit]);
  units.sort((a, b) => (up ? 1 : -1) * order(a[0], b[0]));
  const end = table.querySelector("tbody.total, tbody.foot");
  for (const [, unit] of units) unit.parentNode.insertBefore(unit, unit.rows ? end : null);
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  table.dispatchEvent(new Event("sorted"));
}

for (const heading of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sortBy(heading));
  heading.append(button);
}

// Tells whether a unit passes every control of a form.
function tests(form) {
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const choices = [...form.querySelectorAll("select")].filter((select) => select.value);
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const ticked = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  return (unit) =>
    choices.every((select) => unit.dataset[select.name] === select.value) &&
    (!boxes.length || ticked.has(unit.dataset[boxes[0].name])) &&
    words.every((word) => unit.textContent.toLowerCase().includes(word));
}

for (const form of document.querySelectorAll("form.filter")) {
  const table = document.getElementById(form.dataset.for);
  const output = form.querySelector("output");
  const more = form.querySelector("button");
  let most = Number(form.dataset.page) || Infinity;
  const apply = () => {
    const passes = tests(form);
    const units = unitsOf(table);
    let matching = 0;
    for (const unit of units) {
      const hit = passes(unit);
      matching += hit ? 1 : 0;
      const hide = !hit || matching > most;
      if (unit.hidden !== hide) unit.hidden = hide;
    }
    const shown = Math.min(matching, most);
    const of = matching < units.length ? `${matching.toLocaleString("en")} of ` : "";
    output.textContent = `${of}${units.length.toLocaleString("en")} ${output.dataset.noun}`;
    if (shown < matching) output.textContent += `, ${shown.toLocaleString("en")} shown`;
    if (more) more.hidden = shown === matching;
  };
  if (more) {
    more.addEventListener("click", () => {
      most = Infinity;
      apply();
      table.closest(".scroll").focus();
    });
    table.addEventListener("sorted", apply);
  }
  if (more || form.querySelector("input[type=checkbox]:not(:checked)")) apply();
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
}

for (const command of document.querySelectorAll("[data-copy]")) {
  const code = command.querySelector("code");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(code);
    // Where the browser keeps the clipboard from pages on disk, the command is at least selected.
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected";
    }
  });
  command.append(button);
}
