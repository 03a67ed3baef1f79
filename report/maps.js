"use strict";
// Maps of features: which one is shown, and what its colours mean.
(() => {
  const box = document.getElementById("map-box");
  const block = document.getElementById("data");
  if (!box || !block) return;
  const DATA = JSON.parse(block.textContent);
  const find = (id) => document.getElementById(id);
  const which = find("m-which"), by = find("m-by"), only = find("m-only");
  const runs = find("m-run"), figures = [...box.querySelectorAll(".map-figure")];

  function numbers(text, Kind) {
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    return new Kind(bytes.buffer);
  }

  function errors(place) {
    const run = DATA.runs[place], set = DATA.sets[run.set];
    const index = numbers(set.index, Uint32Array);
    const truth = numbers(set.truth, Uint16Array);
    const said = numbers(run.said, Uint16Array);
    return new Map(Array.from(index, (at, i) => [at, truth[i] === said[i] ? 0 : 1]));
  }

  // kinds of points: their names, the kind of each, and a colour for a kind
  function kinds(figure) {
    const told = (name) => JSON.parse(figure.dataset[name]).map((s) => s || "none");
    if (by.value === "label") {
      return { names: told("labels"), of: (p) => Number(p.dataset.l) };
    }
    if (by.value === "speaker") {
      const names = told("speakers");
      return {
        names, of: (p) => Number(p.dataset.s),
        colour: (k) => `hsl(${Math.round(360 * k / names.length)} 60% 50%)`,
      };
    }
    const wrong = errors(Number(runs.value));
    return {
      names: ["right", "wrong", "not tested"],
      of: (p) => wrong.get(Number(p.dataset.i)) ?? 2,
      classes: ["k-right", "k-wrong", "k-none"],
    };
  }

  function paint(each, kind, k) {
    each.removeAttribute("style");
    if (kind.colour) {
      each.style.fill = kind.colour(k);
      each.style.background = kind.colour(k);
    }
    return kind.classes ? kind.classes[k] : kind.colour ? "" : "c" + (k % 12);
  }

  function draw() {
    find("m-run-label").hidden = by.value !== "error";
    figures.forEach((figure, i) => { figure.hidden = i !== Number(which.value); });
    const figure = figures[Number(which.value)], kind = kinds(figure);
    const chosen = only.value === "" ? null : Number(only.value);
    const seen = kind.names.map(() => 0);
    for (const point of figure.querySelectorAll("circle")) {
      const k = kind.of(point);
      seen[k] += 1;
      const faint = chosen !== null && k !== chosen ? " faint" : "";
      point.setAttribute("class", paint(point, kind, k) + faint);
    }
    const legend = figure.querySelector(".m-legend");
    legend.replaceChildren(...kind.names.map((name, k) => {
      const entry = document.createElement("span"), key = document.createElement("i");
      key.className = "key " + paint(key, kind, k);
      entry.append(key, `${name} ${seen[k]}`);
      return entry;
    }));
  }

  function renew() {
    const kind = kinds(figures[Number(which.value)]);
    const any = new Option("all", "");
    only.replaceChildren(any, ...kind.names.map((name, k) => new Option(name, k)));
    draw();
  }

  DATA.runs.forEach((run, i) => runs.append(new Option(run.name, i)));
  which.addEventListener("change", renew);
  by.addEventListener("change", renew);
  runs.addEventListener("change", draw);
  only.addEventListener("change", draw);
  box.querySelector(".map-tools").hidden = false;
  renew();
})();
