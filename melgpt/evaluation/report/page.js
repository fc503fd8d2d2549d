"use strict";

/* A column sorts when its head is pressed: first rising, then falling. Empty cells stay last. */
function keyOf(row, column) {
  const cell = row.cells[column];
  const number = cell.dataset.value;
  return number === undefined ? cell.textContent.trim() : Number(number);
}

function compare(a, b) {
  if (a === "" || b === "") return a === b ? 0 : a === "" ? 2 : -2;
  if (typeof a === "number" && typeof b === "number") return Math.sign(a - b);
  return Math.sign(String(a).localeCompare(String(b), undefined, { numeric: true }));
}

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const rising = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", rising ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => {
    const order = compare(keyOf(a, column), keyOf(b, column));
    return Math.abs(order) === 2 || rising ? order : -order;
  });
  body.append(...rows);
}

document.querySelectorAll("table.sortable").forEach((table) => {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sortBy(table, column));
  });
});

/* One sound at a time, with a line on its mel where it is. */
const sounds = [...document.querySelectorAll("figure.sound audio")];

function moveCursor(sound) {
  const mel = sound.closest("figure").querySelector("svg.mel");
  const cursor = mel.querySelector(".cursor");
  const share = sound.duration ? sound.currentTime / sound.duration : 0;
  const x = Number(mel.dataset.left) + Number(mel.dataset.width) * share;
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  mel.classList.toggle("heard", sound.currentTime > 0 && !sound.ended);
  if (!sound.paused && !sound.ended) requestAnimationFrame(() => moveCursor(sound));
}

sounds.forEach((sound) => {
  sound.addEventListener("play", () => {
    sounds.filter((other) => other !== sound).forEach((other) => other.pause());
    moveCursor(sound);
  });
  ["seeked", "ended", "pause"].forEach((event) => sound.addEventListener(event, () => moveCursor(sound)));
});
