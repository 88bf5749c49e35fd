// The table of configurations or trials: sorted by any column, filtered by words.

const AT_ONCE = 100; // rows, until all are asked for

const nothing = (value) => value === undefined || value === null || value === "";
const costColumns = (of) => costs.map((cost) => ({ name: capital(data.costs[cost]), number: true, value: (row) => of(row).costs[cost], text: count }));

const TABLES = {
  configurations: {
    rows: () => data.configurations,
    words: (row) => `${row.label} ${row.trials.join(" ")} ${row.trials.map((id) => trials.get(id).status).join(" ")}`,
    columns: [
      { name: "Configuration", value: (row) => row.label, cell: (row) => link(row) },
      ...data.splits.map((split) => ({
        name: `${capital(split)} %`, number: true, value: (row) => row.values[split]?.[0],
        text: (value, row) => {
          const [mean, low, high] = row.values[split].slice(0, 3).map((each) => (each === null ? each : tenths(each)));
          return low === null ? mean : `${mean} (${low} to ${high})`;
        },
      })),
      ...costColumns((row) => row),
      { name: "Trials", number: true, value: (row) => row.trials.length, text: count },
    ],
  },
  trials: {
    rows: () => [...trials.values()],
    words: (row) => `${row.id} ${row.label} ${row.status} ${row.error ?? ""} ${data.configurations[row.configuration].label}`,
    columns: [
      { name: "Trial", value: (row) => row.label, cell: (row) => make("a", { href: `#trial=${row.id}` }, row.label) },
      { name: "Id", value: (row) => row.id },
      { name: "Status", value: (row) => row.status },
      ...data.splits.map((split, place) => ({ name: `${capital(split)} %`, number: true, value: (row) => row.shares[place], text: (value) => tenths(value / SHARE) })),
      ...costColumns((row) => data.configurations[row.configuration]),
      { name: "Epochs", number: true, value: (row) => row.epochs, text: count },
      { name: "Seconds", number: true, value: (row) => row.seconds, text: count },
    ],
  },
};

function listing(place) {
  const shown = { kind: "configurations", by: null, down: false, words: "", all: false };
  const search = make("input", { type: "search", id: "filter", input: () => { shown.words = search.value; render(); } });
  const state = make("output", { class: "quiet" });
  const region = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rows" });
  const more = make("button", { type: "button", hidden: true, click: () => { shown.all = true; render(); } });
  const kinds = Object.keys(TABLES).map((kind) => make("label", {},
    make("input", { type: "radio", name: "kind", value: kind, checked: kind === shown.kind, change: () => { Object.assign(shown, { kind, by: null, all: false }); render(); } }), capital(kind)));
  place.replaceChildren(
    make("div", { class: "controls" }, make("fieldset", { "aria-label": "What a row is" }, ...kinds),
      make("label", {}, "Rows with all of these words", search)), state, region, more);

  function sort(column) {
    // numbers from large to small first, texts from A to Z
    shown.down = shown.by === column ? !shown.down : Boolean(column.number);
    shown.by = column;
    render();
    region.querySelectorAll("thead button")[TABLES[shown.kind].columns.indexOf(column)].focus();
  }

  function render() {
    const { rows, words, columns } = TABLES[shown.kind];
    const wanted = shown.words.toLowerCase().split(/\s+/).filter(Boolean);
    const every = rows();
    const found = every.filter((row) => { const text = words(row).toLowerCase(); return wanted.every((word) => text.includes(word)); });
    if (shown.by) found.sort((a, b) => compared(shown.by.value(a), shown.by.value(b)));
    const part = shown.all ? found : found.slice(0, AT_ONCE);
    state.textContent = `${count(found.length)} of ${count(every.length)} ${shown.kind}`;
    more.hidden = part.length === found.length;
    more.textContent = `Show all ${count(found.length)}`;
    region.replaceChildren(make("table", {},
      make("thead", {}, make("tr", {}, ...columns.map((column) => make("th", {
        scope: "col", class: column.number ? "number" : null,
        "aria-sort": shown.by === column ? (shown.down ? "descending" : "ascending") : null,
      }, make("button", { type: "button", click: () => sort(column) }, column.name + (shown.by === column ? (shown.down ? " ↓" : " ↑") : "")))))),
      make("tbody", {}, ...part.map((row) => make("tr", {}, ...columns.map((column, first) => cell(column, row, !first)))))));
  }

  function compared(a, b) {
    if (nothing(a) || nothing(b)) return nothing(a) - nothing(b); // what is not known comes last
    const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return shown.down ? -order : order;
  }
  render();
}

function cell(column, row, head) {
  const value = column.value(row);
  const content = column.cell ? column.cell(row) : nothing(value) ? "" : column.text ? column.text(value, row) : value;
  return make(head ? "th" : "td", { class: column.number ? "number" : null, scope: head ? "row" : null }, content);
}
