// One stored line of a job's log, as the dispatcher wrote it: "- " and one JSON object (a YAML flow mapping).
// Older writers left quotes out or tagged scalars (!!int "12"); those lines take the slower way.

export const LEVELS = [
  "exception", "error", "warning", "info", "debug", "target", "input", "feedback", "event", "results",
];

const LEVEL_KEY = '"lvl": "';
const NUMBER_OF = new Map(LEVELS.map((level, number) => [level, number]));

/** Return the number of a line's level in LEVELS without parsing the line; an odd line counts as an error. */
export function levelOf(raw) {
  const start = raw.indexOf(LEVEL_KEY);
  if (start >= 0) {
    const from = start + LEVEL_KEY.length;
    const number = NUMBER_OF.get(raw.slice(from, raw.indexOf('"', from)));
    if (number !== undefined) return number;
  }
  return NUMBER_OF.get(parseLine(raw).level) ?? 1;
}

/** Parse a line: {when: Date, clock: "HH:MM:SS", level, message: string or object, namespace}. */
export function parseLine(raw) {
  const text = raw.startsWith("- ") ? raw.slice(2) : raw;
  const record = parseRecord(text);
  if (record === null || typeof record !== "object" || !("msg" in record)) {
    return { when: null, clock: "", level: "error", message: raw, namespace: "" };
  }
  const when = moment(record.dt);
  const message = record.msg;
  return {
    when,
    clock: when ? when.toISOString().slice(11, 19) : "",
    level: NUMBER_OF.has(record.lvl) ? record.lvl : "error",
    message: typeof message === "object" && message !== null ? message : String(message ?? ""),
    namespace: record.ns ? String(record.ns) : "",
  };
}

function moment(text) {
  if (typeof text !== "string") return null;
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text.replace(" ", "T")}Z`;
  const when = new Date(zoned);
  return Number.isNaN(when.getTime()) ? null : when;
}

function parseRecord(text) {
  try {
    return JSON.parse(text);
  } catch {
    try {
      return new FlowReader(text).document();
    } catch {
      return null;
    }
  }
}

const ESCAPES = { 0: "\0", a: "\x07", b: "\b", t: "\t", n: "\n", v: "\v", f: "\f", r: "\r", e: "\x1b" };
const WIDTHS = { x: 2, u: 4, U: 8 };

/** Reads the flow style of YAML; scalars stay text. */
class FlowReader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  document() {
    const value = this.value();
    this.blanks();
    if (this.at < this.text.length) throw new SyntaxError("something follows the record");
    return value;
  }

  blanks() {
    while (/\s/.test(this.text.charAt(this.at))) this.at += 1;
  }

  value() {
    this.blanks();
    if (this.text[this.at] === "!") {
      while (this.at < this.text.length && !/\s/.test(this.text[this.at])) this.at += 1;
      this.blanks();
    }
    switch (this.text[this.at]) {
      case "{": return this.mapping();
      case "[": return this.sequence();
      case '"': return this.doubleQuoted();
      case "'": return this.singleQuoted();
      default: return this.plain();
    }
  }

  mapping() {
    const found = Object.create(null);
    this.at += 1;
    for (;;) {
      this.blanks();
      if (this.take("}")) return found;
      const key = String(this.value());
      this.blanks();
      if (!this.take(":")) throw new SyntaxError("no ':' after a key");
      found[key] = this.value();
      this.blanks();
      if (!this.take(",") && this.text[this.at] !== "}") throw new SyntaxError("no ',' between pairs");
    }
  }

  sequence() {
    const found = [];
    this.at += 1;
    for (;;) {
      this.blanks();
      if (this.take("]")) return found;
      found.push(this.value());
      this.blanks();
      if (!this.take(",") && this.text[this.at] !== "]") throw new SyntaxError("no ',' between items");
    }
  }

  take(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  doubleQuoted() {
    let found = "";
    for (this.at += 1; this.at < this.text.length; this.at += 1) {
      const character = this.text[this.at];
      if (character === '"') {
        this.at += 1;
        return found;
      }
      if (character !== "\\") {
        found += character;
        continue;
      }
      this.at += 1;
      const kind = this.text[this.at];
      if (kind in WIDTHS) {
        found += String.fromCodePoint(parseInt(this.text.substr(this.at + 1, WIDTHS[kind]), 16));
        this.at += WIDTHS[kind];
      } else {
        found += ESCAPES[kind] ?? kind;
      }
    }
    throw new SyntaxError("a quoted text does not end");
  }

  singleQuoted() {
    let from = this.at + 1;
    for (;;) {
      const quote = this.text.indexOf("'", from);
      if (quote < 0) throw new SyntaxError("a quoted text does not end");
      if (this.text[quote + 1] !== "'") {
        const found = this.text.slice(this.at + 1, quote).replaceAll("''", "'");
        this.at = quote + 1;
        return found;
      }
      from = quote + 2;
    }
  }

  plain() {
    const match = /^(?:[^,{}[\]:]|:(?!\s|$))*/.exec(this.text.slice(this.at));
    if (!match[0].trim()) throw new SyntaxError("a value is missing");
    this.at += match[0].length;
    return match[0].trim();
  }
}
