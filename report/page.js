"use strict";
(() => {
  const live = document.getElementById("live");

  function value(row, column) {
    const said = row.cells[column].dataset.v;
    if (said === "") return null;
    const number = Number(said);
    return Number.isNaN(number) ? said.toLowerCase() : number;
  }

  function sort(table, head, column) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const first = head.dataset.first || "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      const x = value(a, column), y = value(b, column);
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
    body.append(...rows);
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    live.textContent = `sorted by ${head.textContent.trim()}, ${order}`;
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = head.querySelector("button");
      if (button) button.addEventListener("click", () => sort(table, head, column));
    });
  }

  function show() {
    const id = decodeURIComponent(location.hash.slice(1));
    const run = id && document.getElementById(id);
    if (run && run.matches("details.run")) {
      run.open = true;
      run.scrollIntoView();
    }
  }
  addEventListener("hashchange", show);
  show();

  for (const button of document.querySelectorAll("button.counts")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const on = document.body.classList.toggle("with-counts");
      for (const each of document.querySelectorAll("button.counts")) {
        each.setAttribute("aria-pressed", String(on));
      }
    });
  }

  const toggle = document.getElementById("toggle");
  if (toggle) {
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      const runs = [...document.querySelectorAll("details.run")];
      const open = runs.some((run) => !run.open);
      for (const run of runs) run.open = open;
      toggle.textContent = open ? "Close all" : "Open all";
    });
  }
})();
