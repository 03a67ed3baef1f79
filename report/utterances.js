"use strict";
// The table of test utterances: unpacked for the run that is chosen, fifty at a time.
(() => {
  const block = document.getElementById("data");
  const box = document.getElementById("utterance-box");
  if (!block || !box) return;
  const DATA = JSON.parse(block.textContent);
  const SOUND = new Map([...document.querySelectorAll("audio[data-i]")]
    .map((player) => [Number(player.dataset.i), player.getAttribute("src")]));
  const STEP = 50;
  const NONE = 65535;
  const live = document.getElementById("live");
  const find = (id) => document.getElementById(id);
  const fields = {
    run: find("u-run"), truth: find("u-truth"), said: find("u-said"),
    speaker: find("u-speaker"), which: find("u-which"), text: find("u-text"),
  };
  const body = find("u-body"), count = find("u-count"), pages = find("u-pages");
  const part = find("u-part"), left = find("u-left");
  const before = find("u-before"), after = find("u-after"), heads = find("u-heads");
  const state = { run: 0, rows: [], shown: [], at: 0, by: "share", up: false, cell: "" };

  function numbers(text, Kind) {
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    return new Kind(bytes.buffer);
  }

  // the bits of a mask, the first in the lowest bit; without a mask all are there
  function there(mask) {
    const bytes = mask === undefined ? undefined : numbers(mask, Uint8Array);
    return (i) => bytes === undefined || Boolean((bytes[i >> 3] >> (i & 7)) & 1);
  }

  function unpack(place) {
    const run = DATA.runs[place], set = DATA.sets[run.set], n = run.labels.length;
    const Share = run.bytes === 2 ? Uint16Array : Uint8Array;
    const Said = n < 255 ? Share : Uint16Array;
    const top = run.bytes === 2 ? NONE : 255, none = Said === Uint8Array ? 255 : NONE;
    const index = numbers(set.index, Uint32Array);
    const truth = numbers(set.truth, Uint16Array);
    const told = numbers(run.said, Said), shares = numbers(run.p, Share);
    const kept = there(run.rows), known = there(run.with);
    const rows = [];
    let from = 0;
    index.forEach((at, i) => {
      if (!kept(i)) return;
      const row = {
        at, id: DATA.ids[at], speaker: DATA.speakers[DATA.speaker[at]],
        truth: truth[i] === NONE ? -1 : truth[i], said: told[rows.length],
        own: [], share: -1, right: -1,
      };
      if (row.said === none) row.said = -1;
      if (known(rows.length)) {
        row.own = Array.from(shares.subarray(from, from + n), (s) => s / top);
        row.share = row.own[row.said];
        if (row.truth >= 0) row.right = row.own[row.truth];
        from += n;
      }
      rows.push(row);
    });
    return rows;
  }

  function node(name, text, given = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
    return made;
  }

  function options(field, all, values) {
    const before = field.value;
    field.replaceChildren(node("option", all, { value: "" }));
    values.forEach((said, i) => field.append(node("option", said, { value: i })));
    field.value = [...field.options].some((o) => o.value === before) ? before : "";
  }

  function open(place) {
    state.run = place;
    state.rows = unpack(place);
    const labels = DATA.runs[place].labels;
    state.speakers = [...new Set(state.rows.map((row) => row.speaker))].sort();
    options(fields.truth, "any", labels);
    options(fields.said, "any", labels);
    options(fields.speaker, "any", state.speakers);
    fields.run.value = String(place);
    find("u-link").setAttribute("href", "#" + DATA.runs[place].link);
    part.textContent = DATA.runs[place].part;
    part.hidden = !part.textContent;
    state.cell = "";
  }

  const keys = {
    id: (row) => row.id, speaker: (row) => row.speaker, share: (row) => row.share,
    truth: (row) => row.truth, said: (row) => row.said, right: (row) => row.right,
  };

  function wrong(row) {
    return row.truth >= 0 && row.said >= 0 && row.truth !== row.said;
  }

  function filter() {
    const truth = fields.truth.value, said = fields.said.value;
    const speaker = state.speakers[fields.speaker.value];
    const words = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const which = fields.which.value;
    state.shown = state.rows.filter((row) =>
      (truth === "" || row.truth === Number(truth)) &&
      (said === "" || row.said === Number(said)) &&
      (speaker === undefined || row.speaker === speaker) &&
      (which !== "wrong" || wrong(row)) &&
      (which !== "right" || (row.said >= 0 && row.truth === row.said)) &&
      (which !== "heard" || SOUND.has(row.at)) &&
      words.every((word) => row.id.toLowerCase().includes(word)));
    order();
  }

  function order() {
    const key = keys[state.by], sign = state.up ? 1 : -1;
    state.shown.sort((a, b) => {
      const x = key(a), y = key(b);
      if (x !== y) return sign * (x < y ? -1 : 1);
      return a.id < b.id ? -1 : 1;
    });
    state.at = 0;
    for (const head of heads.cells) {
      const button = head.querySelector("button");
      if (button && button.dataset.by === state.by) {
        head.setAttribute("aria-sort", state.up ? "ascending" : "descending");
      } else head.removeAttribute("aria-sort");
    }
    draw();
  }

  function percent(share) {
    if (share < 0) return "–";
    return (100 * share).toFixed(DATA.runs[state.run].bytes === 2 ? 1 : 0);
  }

  function bars(row, labels) {
    const cell = node("td", undefined, { class: "u-bars" });
    if (!row.own.length) {
      cell.textContent = "–";
      return cell;
    }
    const told = labels.map((label, i) => `${label} ${percent(row.own[i])} %`);
    const plot = node("span", undefined, {
      role: "img", class: "shares", "aria-label": told.join(", "), title: told.join("\n"),
    });
    row.own.forEach((share, i) => {
      const kind = i === row.truth ? "truth" : i === row.said ? "said" : "";
      const bar = node("i", undefined, { class: kind });
      bar.style.setProperty("--v", share.toFixed(4));
      plot.append(bar);
    });
    cell.append(plot);
    return cell;
  }

  function line(row, labels) {
    const tr = node("tr");
    const name = node("th", undefined, { scope: "row" });
    name.append(node("code", row.id));
    if (SOUND.has(row.at)) {
      name.append(node("audio", undefined, {
        controls: "", preload: "metadata", src: SOUND.get(row.at),
        "aria-label": "play " + row.id,
      }));
    }
    const truth = row.truth < 0 ? "none" : labels[row.truth];
    tr.append(name, node("td", row.speaker), node("td", truth),
      node("td", row.said < 0 ? "none" : labels[row.said],
        wrong(row) ? { class: "wrong" } : {}),
      node("td", percent(row.share), { class: "number" }),
      node("td", percent(row.right), { class: "number" }),
      bars(row, labels));
    return tr;
  }

  function draw() {
    const labels = DATA.runs[state.run].labels, n = state.shown.length;
    const some = state.shown.slice(state.at, state.at + STEP);
    body.replaceChildren(...some.map((row) => line(row, labels)));
    const last = Math.min(state.at + STEP, n);
    const whole = DATA.runs[state.run].n, here = state.rows.length;
    count.textContent = `${n.toLocaleString("en")} of ` +
      `${here.toLocaleString("en")} utterances` + (here === whole ? "" :
        ` on this page, which are some of ${whole.toLocaleString("en")}`) + state.cell;
    pages.textContent = n ? `${state.at + 1} to ${last}` : "none";
    before.disabled = state.at === 0;
    after.disabled = last >= n;
  }

  function changed() {
    state.cell = "";
    filter();
    live.textContent = count.textContent;
  }

  function turn(step) {
    state.at += step;
    draw();
    find("u-scroll").scrollTop = 0;
    live.textContent = `utterances ${pages.textContent}`;
  }

  // one matrix, one stop of the tab key; arrows walk from cell to cell
  function walk(event) {
    const from = event.target.closest("td");
    const steps = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
    };
    if (!from || !(event.key in steps)) return;
    event.preventDefault();
    const [down, right] = steps[event.key];
    const row = from.parentElement.parentElement.rows[
      from.parentElement.sectionRowIndex + down];
    const button = row && row.cells[from.cellIndex + right]?.querySelector("button");
    if (!button) return;
    for (const each of from.closest("table").querySelectorAll("button")) each.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
  }

  function asked(table, button) {
    open(Number(table.dataset.run));
    const cell = button.closest("td");
    fields.truth.value = String(cell.parentElement.sectionRowIndex);
    fields.said.value = String(cell.cellIndex - 1);
    for (const name of ["speaker", "which", "text"]) fields[name].value = "";
    if (state.rows.length < DATA.runs[state.run].n) {
      state.cell = `; the cell counts ${cell.querySelector("small").textContent}`;
    }
    filter();
    live.textContent = count.textContent;
    const head = find("utterances");
    head.scrollIntoView();
    head.focus({ preventScroll: true });
  }

  for (const table of document.querySelectorAll("table.confusion[data-run]")) {
    table.addEventListener("keydown", walk);
    table.addEventListener("click", (event) => {
      const button = event.target.closest("td button");
      if (button) asked(table, button);
    });
  }
  DATA.runs.forEach((run, i) => fields.run.append(node("option", run.name, { value: i })));
  fields.run.addEventListener("change", () => {
    for (const name of ["truth", "said", "speaker"]) fields[name].value = "";
    open(Number(fields.run.value));
    changed();
  });
  for (const name of ["truth", "said", "speaker", "which"]) {
    fields[name].addEventListener("change", changed);
  }
  fields.text.addEventListener("input", changed);
  before.addEventListener("click", () => turn(-STEP));
  after.addEventListener("click", () => turn(STEP));
  for (const head of heads.cells) {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => {
      const by = button.dataset.by;
      state.up = state.by === by ? !state.up : head.dataset.first === "ascending";
      state.by = by;
      order();
      live.textContent = `sorted by ${button.textContent.trim()}, ` +
        (state.up ? "ascending" : "descending");
    });
  }
  left.textContent = DATA.left;
  left.hidden = !DATA.left;
  box.hidden = false;
  fields.which.value = "wrong";
  if (!SOUND.size) fields.which.querySelector("[value=heard]").remove();
  open(0);
  filter();
})();
