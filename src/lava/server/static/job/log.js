// The log in the page.  All lines are kept as the text that came; rows are made of those that are near what is seen.
//
// Lines stand in chunks, each an element.  A chunk without rows has the height that it is going to have, about.  While
// the log is short every chunk is filled when there is time, so that the browser's own search finds everything; a long
// log keeps rows only around the view, and the page's search looks through the text.

import { LEVELS, levelOf, parseLine } from "./logline.js";

const CHUNK = 200;
/** with up to so many lines, all have rows */
const SHORT = 20_000;
const RESULTS = LEVELS.indexOf("results");

export class LogView {
  #root;
  #lines = [];
  #chunks = [];
  #hidden = new Set();
  #rowHeight = 18;
  #near;
  #idle = 0;
  #marked = -1;

  constructor(root) {
    this.#root = root;
    this.#near = new IntersectionObserver((entries) => this.#moved(entries), { rootMargin: "1500px 0px" });
  }

  get length() {
    return this.#lines.length;
  }

  get short() {
    return this.#lines.length <= SHORT;
  }

  /** Add stored lines; onLine(level, raw, number) is told of each. */
  append(rows, onLine) {
    const wasShort = this.short;
    for (const raw of rows) {
      const number = this.#lines.length;
      const level = levelOf(raw);
      this.#lines.push(raw);
      let chunk = this.#chunks.at(-1);
      if (chunk === undefined || chunk.count === CHUNK) chunk = this.#open(number);
      chunk.count += 1;
      chunk.levels[level] += 1;
      onLine?.(level, raw, number);
    }
    for (let index = this.#chunks.length - 1; index >= 0; index -= 1) {
      const chunk = this.#chunks[index];
      if (chunk.sized === chunk.count) break;
      if (chunk.filled > 0) this.#fill(chunk);
      else this.#size(chunk);
    }
    if (wasShort && !this.short) this.#thin();
    this.#fillWhenIdle();
  }

  /** Leave the lines of these levels out. */
  hide(levels) {
    this.#hidden = new Set(levels);
    for (const level of LEVELS) this.#root.classList.toggle(`no-${level}`, this.#hidden.has(level));
    for (const chunk of this.#chunks) if (chunk.filled === 0) this.#size(chunk);
  }

  /** Mark a line and bring it into view; false while it is not there. */
  reveal(number) {
    if (number < 0 || number >= this.#lines.length) return false;
    this.#row(this.#marked)?.classList.remove("marked");
    this.#marked = number;
    const chunk = this.#chunks[Math.floor(number / CHUNK)];
    this.#fill(chunk);
    const row = this.#row(number);
    row.classList.add("marked");
    row.scrollIntoView({ block: "center" });
    // What is above may get rows of other heights now; look again once they are there.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const place = row.getBoundingClientRect();
      if (place.top < 0 || place.bottom > innerHeight) row.scrollIntoView({ block: "center" });
    }));
    return true;
  }

  /** Return the numbers of the lines that are shown and whose message has the text in it, whatever its case. */
  find(text) {
    // The text is looked for as it stands in the stored lines, where quotes and backslashes are escaped.
    const stored = JSON.stringify(text).slice(1, -1).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const pattern = new RegExp(stored, "gi");
    const found = [];
    for (const chunk of this.#chunks) {
      for (let number = chunk.first; number < chunk.first + chunk.count; number += 1) {
        const raw = this.#lines[number];
        pattern.lastIndex = Math.max(0, raw.indexOf('"msg"') + 6);
        if (pattern.test(raw) && !this.#hidden.has(LEVELS[levelOf(raw)])) found.push(number);
      }
    }
    return found;
  }

  /** Give every chunk its rows, if the log is short: before printing. */
  fillAll() {
    if (this.short) for (const chunk of this.#chunks) this.#fill(chunk);
  }

  #open(first) {
    const element = document.createElement("div");
    element.className = "chunk";
    const chunk = { first, count: 0, levels: new Uint32Array(LEVELS.length), element, filled: 0, sized: 0, near: false };
    element.chunk = chunk;
    this.#chunks.push(chunk);
    this.#root.append(element);
    this.#near.observe(element);
    return chunk;
  }

  #visible(chunk) {
    return LEVELS.reduce((sum, level, n) => sum + (this.#hidden.has(level) ? 0 : chunk.levels[n]), 0);
  }

  #size(chunk) {
    chunk.sized = chunk.count;
    chunk.element.style.height = `${this.#visible(chunk) * this.#rowHeight}px`;
  }

  #fill(chunk) {
    if (chunk.filled === chunk.count) return;
    const rows = document.createDocumentFragment();
    for (let index = chunk.filled; index < chunk.count; index += 1) {
      const number = chunk.first + index;
      rows.append(makeRow(this.#lines[number], number, number === this.#marked));
    }
    chunk.filled = chunk.sized = chunk.count;
    chunk.element.style.height = "";
    chunk.element.style.containIntrinsicHeight = `auto ${this.#visible(chunk) * this.#rowHeight}px`;
    chunk.element.append(rows);
  }

  #empty(chunk) {
    if (chunk.filled === 0) return;
    chunk.element.style.height = `${chunk.element.offsetHeight}px`;
    chunk.element.replaceChildren();
    chunk.filled = 0;
  }

  #row(number) {
    return this.#root.querySelector(`#L${number}`) ?? null;
  }

  #moved(entries) {
    for (const entry of entries) {
      const chunk = entry.target.chunk;
      chunk.near = entry.isIntersecting;
      if (chunk.near) this.#fill(chunk);
      else if (!this.short) this.#empty(chunk);
    }
    const row = this.#root.querySelector(".row");
    if (row?.offsetHeight > 0) this.#rowHeight = parseFloat(getComputedStyle(row).lineHeight) || this.#rowHeight;
  }

  #thin() {
    for (const chunk of this.#chunks) if (!chunk.near) this.#empty(chunk);
  }

  #fillWhenIdle() {
    if (this.#idle || !this.short) return;
    const next = this.#chunks.find((chunk) => chunk.filled < chunk.count);
    if (next === undefined) return;
    this.#idle = (window.requestIdleCallback ?? setTimeout)(() => {
      this.#idle = 0;
      if (this.short) this.#fill(next);
      this.#fillWhenIdle();
    });
  }
}

/** Return the row of a line.  Nothing of a line is ever read as HTML. */
function makeRow(raw, number, marked) {
  const line = parseLine(raw);
  const row = document.createElement("div");
  row.className = marked ? `row l-${line.level} marked` : `row l-${line.level}`;
  row.id = `L${number}`;
  const anchor = document.createElement("a");
  anchor.href = `#L${number}`;
  // Number and time are drawn by the style sheet: neither copying nor searching meets them.
  anchor.dataset.number = number;
  anchor.dataset.clock = line.clock;
  anchor.setAttribute("aria-label", `Line ${number}`);
  const text = document.createElement("span");
  if (typeof line.message === "object") {
    fillRecord(text, line.message);
  } else {
    text.textContent = line.namespace ? `${line.namespace}: ${line.message}` : line.message;
    if (/^start: \d+ /.test(line.message)) row.classList.add("step");
  }
  row.append(anchor, text);
  return row;
}

function fillRecord(text, record) {
  if (!("result" in record)) {
    text.textContent = JSON.stringify(record);
    return;
  }
  const outcome = String(record.result);
  const badge = document.createElement("span");
  badge.className = `badge is-${/^(pass|fail|skip)$/.test(outcome) ? outcome : "unknown-outcome"}`;
  badge.textContent = outcome;
  const where = ["definition", "set", "case"].map((key) => record[key]).filter((part) => part !== undefined && part !== "");
  const parts = [` ${where.join(" / ")}`];
  if (record.measurement !== undefined) parts.push(`  ${record.measurement} ${record.units ?? ""}`.trimEnd());
  if (record.duration !== undefined) parts.push(`  ${record.duration} s`);
  if (record.error_msg) parts.push(`  ${record.error_type ?? ""} error: ${record.error_msg}`);
  else if (record.extra?.fail) parts.push(`  ${record.extra.fail}`);
  text.append(badge, parts.join(""));
}

export { RESULTS };
