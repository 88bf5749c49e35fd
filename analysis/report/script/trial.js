// A trial: its settings, the command that makes it again, curves, devices, confusion and ERF map.

function showTrial(id) {
  const trial = trials.get(id), section = document.getElementById("trial");
  section.hidden = !trial;
  if (!trial) return;
  const configuration = data.configurations[trial.configuration];
  document.getElementById("trial-title").textContent = `Trial ${trial.label}`;
  const body = document.getElementById("trial-body");
  body.replaceChildren(
    make("p", {}, `${configuration.label}. ${trial.id}: ${trial.status}, ${count(trial.epochs)} epochs in ${count(trial.seconds)} s. `,
      ...data.splits.flatMap((split, place) => (trial.shares[place] === null ? [] : [`${describe(split)} ${percent(trial.shares[place] / SHARE)}. `]))),
    trial.error ? make("pre", {}, trial.error) : "",
    siblings(trial, configuration),
    make("h3", {}, "Make it again"),
    again(trial),
    make("div", { class: "parts" }, ...[curves(id, 1), curves(id, 2), devices(id), classes(id), calibration(id), map(id)].filter(Boolean)),
    confusion(id) ?? "",
    absent(id),
    make("h3", {}, "Settings"),
    settings("What tells it apart", { ...data.settings_of[trial.configuration], ...trial.own }, true),
    settings("What all trials agree in", data.settings, false),
    make("p", {}, make("a", { href: "#frontier" }, "To the frontier"), " ", make("a", { href: "#table" }, "To the table")),
  );
  for (const place of body.querySelectorAll(".figure")) fitted(place, place.drawn);
}

function siblings(trial, { trials: alike }) {
  if (alike.length < 2) return "";
  const shown = alike.slice(0, 40);
  return make("p", {}, "Same configuration: ", ...shown.flatMap((id, place) => [
    place ? ", " : "", id === trial.id ? make("strong", {}, trials.get(id).label) : make("a", { href: `#trial=${id}` }, trials.get(id).label)]),
    shown.length < alike.length ? ` and ${alike.length - shown.length} more` : "");
}

function again(trial) {
  const words = [...data.words_of[trial.configuration], ...trial.words];
  if (!words.length) {
    return make("p", {}, "No single command does: its weights come from another trial, or this version of Overhear has no such trial. The commit that planned it, and its study, do.");
  }
  return make("div", {}, make("pre", {}, `overhear train ${words.map(quote).join(" ")}`), make("p", { class: "quiet" },
    "Own recordings also need --root, and what else their sweep was given to read them."));
}

const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

function settings(name, values, open) {
  const rows = Object.entries(values).map(([key, value]) => make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, value === "" ? "(empty)" : value)));
  return rows.length ? make("details", { open }, make("summary", {}, name), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name }, make("table", {}, make("tbody", {}, ...rows)))) : "";
}

/** Accuracy (column 1) or cross-entropy (column 2) over epochs, a line for each split. */
function curves(id, column) {
  const lines = (data.curves[id] ?? []).filter((line) => line[1 + column].length && line[1].length > 1);
  if (!lines.length) return null;
  const one = column === 1 ? SHARE : LOSS, name = column === 1 ? "Accuracy" : "Cross-entropy";
  const text = (value) => (column === 1 ? `${+(100 * value).toFixed(1)}` : `${+value.toFixed(2)}`);
  const values = lines.flatMap((line) => line[1 + column]).map((value) => value / one);
  const epochs = lines.flatMap((line) => line[1]);
  const x = { low: Math.min(...epochs), high: Math.max(...epochs), label: "Epoch", text: String };
  const low = Math.min(...values), high = Math.max(...values), room = 0.05 * (high - low) || 0.05;
  const y = { low: Math.max(0, low - room), high: high + room, label: column === 1 ? "Accuracy (%)" : "Cross-entropy (nats)", text };
  const ends = lines.map(([split, at, ...columns]) => `${describe(split)} ${text(columns[column - 1][0] / one)} in epoch ${at[0]}, ${text(columns[column - 1].at(-1) / one)} in epoch ${at.at(-1)}`);
  const place = make("div", { class: "figure" });
  place.drawn = (width) => {
    const made = plot(width, 240, x, y, { role: "img", "aria-label": `${name} by epoch. ${ends.join(". ")}` });
    lines.forEach(([split, at, ...columns], which) => {
      const d = at.map((epoch, k) => `${k ? "L" : "M"}${made.x(epoch).toFixed(1)} ${made.y(columns[column - 1][k] / one).toFixed(1)}`).join("");
      made.svg.append(draw("path", { class: `line s${which % 8}`, d, "stroke-dasharray": which % 2 ? "6 3" : null }));
    });
    return made.svg;
  };
  return make("div", {}, make("h3", {}, `${name} by epoch`), place,
    legend(lines.map((line) => describe(line[0])), (which) => draw("line", { class: `s${which % 8}`, x1: -8, x2: 8, "stroke-width": 3, "stroke-dasharray": which % 2 ? "5 2" : null })));
}

function devices(id) {
  const known = data.devices[id];
  if (!known) return null;
  return shares("device", known.flatMap(([split, names, values, clips]) => names.map((name, place) => [name, split, values[place] / SHARE, clips?.[place]])));
}

/** Accuracy by class, from what each class was taken for. */
function classes(id) {
  const known = data.confusions[id];
  if (!known) return null;
  const [split, named, pairs, each] = known, names = data.classes[named];
  const right = names.map(() => 0), all = names.map(() => 0);
  for (let k = 0; k < pairs.length; k += 2) {
    const label = Math.floor(pairs[k] / names.length);
    all[label] += pairs[k + 1];
    if (pairs[k] % names.length === label) right[label] += pairs[k + 1];
  }
  return shares("class", names.flatMap((name, place) => (all[place] ? [[name, split, right[place] / all[place], all[place] / each]] : [])));
}

/** A table of shares, rows of [name, split, share, different clips]: with the intervals of that many clips, else with bars. */
function shares(what, rows) {
  const known = rows.every(([, , , clips]) => clips), several = new Set(rows.map(([, split]) => split)).size > 1;
  const heads = [what[0].toUpperCase() + what.slice(1), ...(several ? ["Split"] : []), "Accuracy", ...(known ? ["95 %", "Clips"] : [""])];
  const bar = (share) => draw("svg", { width: 100, height: 12, viewBox: "0 0 100 12", "aria-hidden": "true" }, draw("rect", { class: "bar", y: 1, height: 10, width: 100 * share }));
  const number = (text) => make("td", { class: "number" }, text);
  const lines = rows.map(([name, split, share, clips]) => make("tr", {},
    make("th", { scope: "row" }, name), ...(several ? [make("td", {}, split)] : []), number(percent(share)),
    ...(known ? [number(wilson(share, clips).map((end) => (100 * end).toFixed(1)).join(" to ")), number(count(Math.round(clips)))] : [make("td", {}, bar(share))])));
  const title = `Accuracy by ${what}${several ? "" : `, ${describe(rows[0][1]).toLowerCase()}`}`;
  return make("div", {}, make("h3", {}, title), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `This trial by ${what}` },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => (head ? make("th", { scope: "col" }, head) : make("td"))))), make("tbody", {}, ...lines))),
    known ? make("p", { class: "quiet" }, "Intervals are over the clips of this one training: what other clips like these would change, not another training.") : "");
}

/** Wilson's score interval, as analysis.intervals has it of the clips of one run. */
function wilson(share, clips) {
  const square = 1.959964 ** 2 / clips, inner = Math.sqrt(square * (share * (1 - share) + square / 4));
  return [-1, 1].map((side) => (share + square / 2 + side * inner) / (1 + square));
}

/** Accuracy against confidence, in bins of equal mass. */
function calibration(id) {
  const known = data.calibrations[id];
  if (!known) return null;
  const [split, error, chance, sure, right] = known;
  const axis = (label) => ({ low: 0, high: 1, label, text: (value) => `${Math.round(100 * value)}` });
  const words = `Expected calibration error ${percent(error / SHARE)} (${percent(chance / SHARE)} by chance alone, ${describe(split).toLowerCase()})`;
  const place = make("div", { class: "figure" });
  place.drawn = (width) => {
    const made = plot(width, 240, axis("Confidence (%)"), axis("Accuracy (%)"), { role: "img", "aria-label": `Accuracy by confidence. ${words}` });
    const at = (k) => `${made.x(sure[k] / SHARE).toFixed(1)} ${made.y(right[k] / SHARE).toFixed(1)}`;
    made.svg.append(
      draw("line", { class: "grid", x1: made.x(0), y1: made.y(0), x2: made.x(1), y2: made.y(1) }),
      draw("path", { class: "line s0", d: sure.map((_, k) => `${k ? "L" : "M"}${at(k)}`).join("") }),
      ...sure.map((_, k) => draw("g", { transform: `translate(${at(k)})` }, mark(0))),
    );
    return made.svg;
  };
  return make("div", {}, make("h3", {}, "Calibration"), place, make("p", { class: "quiet" }, `${words}. On the diagonal, confidence is accuracy.`));
}

/** The ERF map: low mel bands below, frames from left to right. */
function map(id) {
  const known = data.maps[id];
  if (!known) return null;
  const [rows, columns, code, split, bands, frames] = known;
  const bytes = Uint8Array.from(atob(code), (each) => each.charCodeAt(0));
  const words = `95 % of the field spans ${bands} mel bands and ${frames} frames (${describe(split).toLowerCase()})`;
  const canvas = make("canvas", { class: "map", width: columns, height: rows, role: "img", "aria-label": `Effective receptive field: ${words}` });
  canvas.style.setProperty("--shape", columns / rows); // a narrow field must not fill the screen
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  bytes.forEach((shade, place) => {
    const row = rows - 1 - Math.floor(place / columns), at = 4 * (row * columns + (place % columns));
    image.data.set([60, 130, 220, shade], at);
  });
  context.putImageData(image, 0, 0);
  return make("div", {}, make("h3", {}, "Effective receptive field"), canvas, make("p", { class: "quiet" }, `${words}. Mel bands upwards, frames to the right; the root of the mean gradient.`));
}

function confusion(id) {
  const known = data.confusions[id];
  if (!known) return null;
  const [split, named, pairs] = known, classes = data.classes[named];
  const counts = new Map();
  for (let k = 0; k < pairs.length; k += 2) counts.set(pairs[k], pairs[k + 1]);
  const rows = classes.map((label, row) => {
    const numbers = classes.map((_, column) => counts.get(row * classes.length + column) ?? 0);
    const total = numbers.reduce((a, b) => a + b, 0) || 1;
    return make("tr", {}, make("th", { scope: "row" }, label), ...numbers.map((n) => {
      const made = make("td", {}, n ? count(n) : "");
      made.style.setProperty("--share", n / total);
      return made;
    }));
  });
  return make("div", {}, make("h3", {}, `Confusion, ${describe(split).toLowerCase()}`),
    make("div", { class: "scroll confusion", tabindex: 0, role: "region", "aria-label": "Confusion matrix" },
      make("table", {}, make("caption", {}, "Rows: the true class. Columns: what it was taken for, in the same order. Numbers of answers: one a clip and device."),
        make("thead", {}, make("tr", {}, make("td"), ...classes.map((label, k) => make("th", { scope: "col", class: "number", "aria-label": label, title: label }, String(k + 1))))),
        make("tbody", {}, ...rows.map((row, k) => { row.firstChild.prepend(`${k + 1} `); return row; })))));
}

/** What this trial has no record of. */
function absent(id) {
  const parts = [["curves", "learning curves"], ["devices", "accuracy by device"], ["confusions", "predictions by class"], ["calibrations", "calibration"], ["maps", "ERF map"]];
  const without = parts.filter(([name]) => !data[name][id]).map(([, words]) => words);
  return without.length ? make("p", { class: "quiet" }, `Not in this page for this trial: ${without.join(", ")}.`) : "";
}
