// The frontier: configurations by cost and accuracy, sliders for the budget, and the model they name.

const costs = Object.keys(data.costs);
const families = [...new Set(data.configurations.map((each) => each.family))];
const familyPlace = (each) => Math.min(families.indexOf(each.family), MARKS.length - 1);
const limits = {}; // by cost, where its slider is not at its end

/** The best candidate within the budget, in the order of analysis.choose. */
function best() {
  const within = data.configurations.filter((each) => "rank" in each && affordable(each));
  return within.sort((a, b) => a.rank - b.rank)[0];
}

const affordable = (each) => Object.entries(limits).every(([cost, limit]) => each.costs[cost] <= limit);

/** The configurations that no cheaper one reaches, from cheap to expensive. */
function undominated(cost, split) {
  const known = data.configurations.filter((each) => split in each.values && cost in each.costs);
  known.sort((a, b) => a.costs[cost] - b.costs[cost] || b.values[split][0] - a.values[split][0]);
  let most = -Infinity;
  return known.filter((each) => each.values[split][0] > most && ((most = each.values[split][0]), true));
}

function chooser(place) {
  const scored = data.splits.filter((split) => data.configurations.some((each) => split in each.values));
  if (!scored.length) return;
  const chosen = make("output", { class: "chosen", "aria-live": "polite" });
  const hint = make("p", { class: "hint quiet" });
  const across = select("Cost", costs.map((cost) => [cost, capital(data.costs[cost])]), refresh);
  const upwards = select("Accuracy on", scored.map((split) => [split, describe(split)]), refresh);
  upwards.control.value = data.on;
  const figure = make("div", { class: "figure" });
  const table = make("tbody");
  place.append(
    make("div", { class: "budget", role: "group", "aria-label": "Budget" }, ...costs.map((cost) => slider(cost, refresh))),
    chosen,
    make("div", { class: "controls" }, ...(costs.length ? [across.label] : []), upwards.label),
    figure,
    hint,
    families.length > 1 ? legend(families.slice(0, MARKS.length), (each) => mark(each)) : "",
    make("details", {}, make("summary", {}, "The frontier as a table"),
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Frontier" }, make("table", {}, table))),
  );
  place.hidden = false;
  if (!costs.length) figure.append(make("p", {}, "All configurations cost the same: there is no frontier."));

  function refresh() {
    const named = best();
    chosen.replaceChildren(...verdict(named));
    if (!costs.length) return;
    const cost = across.control.value, split = upwards.control.value;
    const front = undominated(cost, split);
    const focused = figure.contains(document.activeElement) ? document.activeElement.dataset.place : null;
    figure.replaceChildren(scatter(figure.clientWidth, cost, split, front, named, (text) => (hint.textContent = text)));
    if (focused) figure.querySelector(`[data-place="${focused}"]`)?.focus();
    hint.textContent = `The line is the frontier: what no cheaper model reaches on ${describe(split).toLowerCase()}. A ring marks the model that is named; follow a point to its trial.`;
    table.replaceChildren(...front.map((each) => make("tr", {},
      make("th", { scope: "row" }, link(each)), make("td", { class: "number" }, `${count(each.costs[cost])} ${data.costs[cost]}`),
      make("td", {}, said(each.values[split])), make("td", {}, often(each, cost)))));
  }
  refresh();
  let width = figure.clientWidth;
  new ResizeObserver(() => {
    if (figure.clientWidth !== width) { width = figure.clientWidth; refresh(); }
  }).observe(figure);
}

const often = (each, cost) => (each.often && cost in each.often ? `on the frontier in ${percent(each.often[cost])} of resamples` : "");
const link = (each) => make("a", { href: `#trial=${each.trials[0]}` }, each.label);

/** The named model in words, with what it costs and reaches. */
function verdict(named) {
  if (!named) return ["No model is named: none may be chosen within this budget."];
  const price = costs.filter((cost) => cost in named.costs).map((cost) => `${count(named.costs[cost])} ${data.costs[cost]}`).join(", ");
  const others = Object.keys(named.values).filter((split) => split !== data.on);
  return [
    make("strong", {}, link(named)), price ? `: ${price}. ` : ". ",
    `Chosen by ${describe(data.on).toLowerCase()}, ${said(named.values[data.on])}`,
    ...others.map((split) => `; ${describe(split).toLowerCase()} ${said(named.values[split])}`), ".",
  ];
}

function select(name, options, changed) {
  const control = make("select", { change: changed }, ...options.map(([value, text]) => make("option", { value }, text)));
  return { control, label: make("label", {}, name, control) };
}

/** A slider whose stops are the costs there are; at its end there is no limit. */
function slider(cost, changed) {
  const stops = [...new Set(data.configurations.map((each) => each.costs[cost]).filter((each) => each !== undefined))].sort((a, b) => a - b);
  const text = make("span", {});
  const control = make("input", { type: "range", min: 0, max: stops.length - 1, step: 1, value: stops.length - 1, "data-cost": cost, input: moved });
  function moved() {
    const place = Number(control.value), last = place === stops.length - 1;
    if (last) delete limits[cost];
    else limits[cost] = stops[place];
    const words = last ? `any number of ${data.costs[cost]}` : `at most ${count(stops[place])} ${data.costs[cost]}`;
    text.textContent = capital(words);
    control.setAttribute("aria-valuetext", words);
    if (changed) changed();
  }
  const later = changed;
  changed = null;
  moved();
  changed = later;
  return make("label", {}, text, control);
}

/** The figure: a link for each configuration; the arrow keys go from one to the next. */
function scatter(width, cost, split, front, named, hover) {
  const shown = data.configurations.filter((each) => split in each.values && cost in each.costs);
  shown.sort((a, b) => a.costs[cost] - b.costs[cost] || a.values[split][0] - b.values[split][0]);
  const prices = shown.map((each) => each.costs[cost]), values = shown.map((each) => each.values[split]);
  const low = Math.min(...values.map((v) => v[1] ?? v[0])), high = Math.max(...values.map((v) => v[2] ?? v[0]));
  const room = 0.05 * (high - low) || 0.05;
  const least = Math.min(...prices), most = Math.max(...prices), log = least > 0;
  const x = { low: log ? least / 1.15 : least, high: most * 1.15 || 1, log, label: capital(data.costs[cost]), text: brief };
  const y = { low: Math.max(0, low - room), high: Math.min(1, high + room), label: `Accuracy, ${describe(split).toLowerCase()} (%)`, text: (v) => `${+(100 * v).toFixed(1)}` };
  const height = Math.max(260, Math.min(440, 0.55 * width));
  const made = plot(width, height, x, y, { role: "group", "aria-label": `Accuracy on ${describe(split).toLowerCase()} against ${data.costs[cost]}; ${shown.length} configurations, arrow keys move` });
  const steps = front.map((each, place) => `${place ? `H${made.x(each.costs[cost])}V` : `M${made.x(each.costs[cost])} `}${made.y(each.values[split][0])}`);
  made.svg.append(draw("path", { class: "front", d: `${steps.join("")}H${width - 14}` }));
  if (cost in limits) made.svg.append(draw("line", { class: "limit", x1: made.x(limits[cost]), x2: made.x(limits[cost]), y1: made.top, y2: made.bottom }));
  const points = shown.map((each, place) => point(each, place));
  const start = shown.indexOf(named);
  points[Math.max(start, 0)].setAttribute("tabindex", 0);
  made.svg.append(...points);
  made.svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    const place = points.indexOf(document.activeElement);
    if (!step || place < 0) return;
    event.preventDefault();
    const next = points[(place + step + points.length) % points.length];
    points[place].setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  });
  return made.svg;

  function point(each, place) {
    // families side by side: of one size their intervals would hide each other
    const aside = 5 * (familyPlace(each) - (Math.min(families.length, MARKS.length) - 1) / 2);
    const value = each.values[split], across = made.x(each.costs[cost]) + aside, down = made.y(value[0]);
    const words = `${each.label}: ${count(each.costs[cost])} ${data.costs[cost]}, ${said(value)}${often(each, cost) && `, ${often(each, cost)}`}`;
    const kind = ["point", each === named ? "best" : "", affordable(each) ? "" : "beyond"].join(" ");
    const whiskers = value[1] === null ? "" : draw("line", { class: `s${familyPlace(each)}`, x1: across, x2: across, y1: made.y(value[1]), y2: made.y(value[2]) });
    return draw("a", { href: `#trial=${each.trials[0]}`, class: kind, tabindex: -1, "aria-label": words, "data-place": place, focus: () => hover(words), pointerenter: () => hover(words) },
      whiskers, draw("circle", { class: "halo", cx: across, cy: down, r: 11 }), mark(familyPlace(each), { transform: `translate(${across} ${down})` }));
  }
}
