// The results beside the log, as they come: suites with their cases, each leading to its place in the log.

/** what a suite shows at most; its own page has the others */
const SHOWN = 500;
const OWN_SUITE = "lava";
const OUTCOMES = ["pass", "fail", "skip", "unknown"];

export class Results {
  #root;
  #totals;
  #address;
  #suites = new Map();
  #counts = new Map();

  constructor(root, totals, address) {
    this.#root = root;
    this.#totals = totals;
    this.#address = address;
  }

  /** Take in a result. */
  read(record, number) {
    if (typeof record !== "object" || !record.definition || !record.case) return;
    if (this.#suites.size === 0) this.#root.replaceChildren();
    const name = String(record.definition);
    const suite = this.#suites.get(name) ?? this.#open(name);
    const outcome = OUTCOMES.includes(record.result) ? record.result : "unknown";
    suite.counts.set(outcome, (suite.counts.get(outcome) ?? 0) + 1);
    suite.total += 1;
    suite.sums.textContent = sums(suite.counts);
    if (suite.total <= SHOWN) suite.list.append(makeCase(record, outcome, number));
    else this.#more(suite, name);
    if (name !== OWN_SUITE) {
      this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
      this.#totals.replaceChildren(...OUTCOMES.filter((kind) => this.#counts.get(kind)).map((kind) => {
        const badge = document.createElement("span");
        badge.className = `badge is-${kind === "unknown" ? "unknown-outcome" : kind}`;
        badge.textContent = `${this.#counts.get(kind)} ${kind}`;
        return badge;
      }));
    }
  }

  #open(name) {
    const element = document.createElement("details");
    element.className = "suite";
    element.open = name !== OWN_SUITE;
    const summary = document.createElement("summary");
    const title = document.createElement("span");
    title.className = "name";
    title.textContent = name;
    const counted = document.createElement("span");
    counted.className = "sums";
    summary.append(title, counted);
    const list = document.createElement("ol");
    element.append(summary, list);
    const own = this.#suites.get(OWN_SUITE);
    if (own) own.element.before(element);
    else this.#root.append(element);
    const suite = { element, list, sums: counted, counts: new Map(), total: 0 };
    this.#suites.set(name, suite);
    return suite;
  }

  #more(suite, name) {
    suite.more ??= suite.element.appendChild(document.createElement("a"));
    suite.more.href = `${this.#address}/${encodeURIComponent(name)}`;
    suite.more.textContent = `all ${suite.total} cases`;
  }
}

function sums(counts) {
  return OUTCOMES.filter((kind) => counts.get(kind)).map((kind) => `${counts.get(kind)} ${kind}`).join(", ");
}

function makeCase(record, outcome, number) {
  const item = document.createElement("li");
  item.className = `case-${outcome}`;
  const anchor = document.createElement("a");
  const place = record.starttc ?? number;
  anchor.href = `#L${/^\d+$/.test(String(place)) ? place : number}`;
  anchor.textContent = record.set ? `${record.set} / ${record.case}` : String(record.case);
  const measured = document.createElement("span");
  measured.className = "measured";
  const value = record.measurement ?? (record.definition === OWN_SUITE ? record.duration : undefined);
  if (value !== undefined) measured.textContent = `${Number(value)} ${record.units ?? (record.duration ? "s" : "")}`;
  const word = document.createElement("span");
  word.className = "hidden-text";
  word.textContent = outcome;
  item.append(word, anchor, measured);
  return item;
}
