// Sorts tables and filters findings. The page says everything without it.
"use strict";

function sortBy(heading) {
  const table = heading.closest("table");
  const place = [...heading.parentNode.children].indexOf(heading);
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const key = (body) => {
    const cell = body.rows[0].cells[place];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const order = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en"));
  const bodies = [...table.tBodies].filter((body) => !body.classList.contains("total"));
  bodies.sort((a, b) => (up ? 1 : -1) * order(key(a), key(b)));
  const total = table.querySelector("tbody.total");
  for (const body of bodies) table.insertBefore(body, total);
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
}

for (const heading of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sortBy(heading));
  heading.append(button);
}

const form = document.querySelector("form.filter");
if (form) {
  const bodies = [...document.querySelectorAll("#rules tbody")];
  const texts = bodies.map((body) => body.textContent.toLowerCase());
  const apply = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const boxes = [...form.querySelectorAll("[name=severity]:checked")].map((box) => box.value);
    let shown = 0;
    bodies.forEach((body, place) => {
      body.hidden = !boxes.includes(body.dataset.severity) || !words.every((word) => texts[place].includes(word));
      shown += body.hidden ? 0 : 1;
    });
    form.querySelector("output").textContent = `${shown} of ${bodies.length} rules`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
}
