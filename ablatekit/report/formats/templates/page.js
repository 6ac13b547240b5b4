"use strict";
const root = document.documentElement;
const asked = new URLSearchParams(location.search).get("theme");
const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
const dark = () => root.dataset.theme
  ? root.dataset.theme === "dark"
  : matchMedia("(prefers-color-scheme: dark)").matches;
const wanted = asked || root.dataset.theme || stored;
if (["light", "dark"].includes(wanted)) root.dataset.theme = wanted;
document.getElementById("theme").addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a file may not store */ }
});

const key = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.dataset.sort ?? cell.textContent.trim();
  return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
};
const compare = (a, b, sign) => {
  if (a === "" || b === "") return (a === "") - (b === "");
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
};
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows].at(-1).querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => compare(key(a, column), key(b, column), sign));
      table.tBodies[0].append(...rows);
      table.classList.add("sorted");
    });
  });
}

const fewestToFilter = 9;
for (const table of document.querySelectorAll("table.sortable")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < fewestToFilter) continue;
  const label = document.createElement("label");
  label.className = "filter";
  const field = document.createElement("input");
  field.type = "search";
  const told = document.createElement("output");
  label.append("Filter rows ", field, told);
  table.closest(".scroll").before(label);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
    });
    const shown = rows.filter((row) => !row.hidden).length;
    told.textContent = words.length ? `${shown} of ${rows.length}` : "";
  });
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText);
    button.textContent = "Copied";
  });
}
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
});
