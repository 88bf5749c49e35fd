"use strict";
// What all parts of the page share: the data, elements made from text alone, numbers in words.

const data = JSON.parse(document.getElementById("data").textContent);
const SHARE = 1000, LOSS = 100; // one, as analysis.report.details writes them

/** An element of HTML; children are elements or texts, never markup. */
function make(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An element of SVG. */
function draw(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const count = (value) => value.toLocaleString("en", { maximumFractionDigits: 3 });
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const percent = (share) => `${tenths(share)} %`;

/** A share in percent as Python says it: of two equally near tenths the even one. */
function tenths(share) {
  const value = +(100 * share).toFixed(6), tie = Math.abs(value) % 1 === 0.25;
  return (tie ? value - Math.sign(value) * 0.05 : value).toFixed(1);
}

/** 12.3 k, 4.5 M: what an axis has room for. */
function brief(value) {
  for (const [one, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= one) return `${+(value / one).toPrecision(3)} ${letter}`;
  }
  return `${+value.toPrecision(3)}`;
}

const describe = (split) => data.described[split] || split;

/** `71.2 % (64.1 to 78.0 over 5 folds)` of a configuration on a split. */
function said([mean, low, high, n, unit]) {
  const over = n === 1 ? "one run" : `over ${n} ${unit}`;
  return `${percent(mean)} (${low === null ? "" : `${tenths(low)} to ${tenths(high)} `}${over})`;
}

const trials = new Map(data.trials.map((row) => {
  const names = ["id", "label", "status", "configuration", "shares", "own", "words", "epochs", "seconds", "error"];
  const trial = Object.fromEntries(names.map((name, place) => [name, row[place]]));
  trial.words = trial.words.map((word) => (typeof word === "number" ? `${data.repeats[word]}=${trial.own[word]}` : word));
  trial.own = Object.fromEntries(data.repeats.map((name, place) => [name, trial.own[place]]));
  return [row[0], trial];
}));
