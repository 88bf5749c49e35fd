// Plots: an SVG as wide as its place in the page, so that letters keep their size on a phone.

const MARKS = [
  "M0-5A5 5 0 1 0 0 5A5 5 0 1 0 0-5Z", "M-4.5-4.5H4.5V4.5H-4.5Z", "M0-6L5.5 4.5H-5.5Z", "M0-6.5L5.5 0 0 6.5-5.5 0Z",
  "M0 6L5.5-4.5H-5.5Z", "M-2-5.5H2V-2H5.5V2H2V5.5H-2V2H-5.5V-2H-2Z", "M-5.5 0L-2.5-5.5H2.5L5.5 0 2.5 5.5H-2.5Z", "M-5-2H5V2H-5Z",
];

/** Round values from low to high, about so many; powers of ten and their doubles where `log`. */
function ticks(low, high, about, log) {
  const found = [];
  if (log) {
    const decades = Math.log10(high / low);
    const steps = decades > about ? [1] : decades > about / 2 ? [1, 3] : decades > 0.7 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      found.push(...steps.map((step) => step * 10 ** power));
    }
  } else {
    const rough = (high - low) / about || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((each) => each * power >= rough * 0.999);
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  }
  return found.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
}

/** The ticks in words, numbers with as many decimals as any of them needs. */
function labelled(places, text) {
  const words = places.map(text), plain = words.every((word) => /^-?[\d.]+$/.test(word));
  const digits = Math.max(0, ...words.map((word) => (word.split(".")[1] ?? "").length));
  return places.map((tick, k) => [tick, plain ? Number(words[k]).toFixed(digits) : words[k]]);
}

/** Axes with a grid; `x` and `y` are {low, high, log, label, text}. Returns {svg, x, y}: pixels of values. */
function plot(width, height, x, y, attributes) {
  const left = 46, right = 14, top = 22, bottom = 38;
  const at = ({ low, high, log }, start, end) => {
    const place = log ? Math.log : Number;
    const span = place(high) - place(low) || 1;
    return (value) => start + ((place(value) - place(low)) / span) * (end - start);
  };
  const across = at(x, left, width - right), down = at(y, height - bottom, top);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, ...attributes });
  for (const [tick, words] of labelled(ticks(y.low, y.high, 5, y.log), y.text)) {
    svg.append(
      draw("line", { class: "grid", x1: left, x2: width - right, y1: down(tick), y2: down(tick) }),
      draw("text", { x: left - 6, y: down(tick) + 4, "text-anchor": "end" }, words),
    );
  }
  for (const [tick, words] of labelled(ticks(x.low, x.high, width / 80, x.log), x.text)) {
    svg.append(
      draw("line", { class: "axis", x1: across(tick), x2: across(tick), y1: height - bottom, y2: height - bottom + 4 }),
      draw("text", { x: across(tick), y: height - bottom + 17, "text-anchor": "middle" }, words),
    );
  }
  svg.append(
    draw("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    draw("text", { x: 0, y: 12 }, y.label),
    draw("text", { x: width - right, y: height - 4, "text-anchor": "end" }, x.label),
  );
  return { svg, x: across, y: down, bottom: height - bottom, top };
}

const mark = (place, attributes = {}) => draw("path", { d: MARKS[place], class: `f${place}`, ...attributes });

/** Names beside their marks. */
function legend(names, symbol) {
  return make("ul", { class: "legend" }, ...names.map((name, place) =>
    make("li", {}, draw("svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" }, symbol(place)), name)));
}

/** Draw into a place now, and again when its width changes. */
function fitted(place, drawn) {
  let width = 0;
  const redraw = () => {
    const now = Math.round(place.clientWidth);
    if (now && now !== width) place.replaceChildren(drawn((width = now)));
  };
  new ResizeObserver(redraw).observe(place);
  redraw();
}
