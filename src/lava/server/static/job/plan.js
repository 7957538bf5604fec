// The pipeline beside the log: which action runs, how long it may, how long the others took.
// A job that ended brings its whole plan in the page; of a running one, what its log says so far is shown.

import { span } from "./clock.js";

const START = /^start: (\S+) (\S+)(?: \(timeout (\d+):(\d\d):(\d\d)\))?/;
const END = /^end: (\S+) (\S+) /;
/** an action that took more than this share of its time is pointed out */
const NEAR = 0.85;

export class Plan {
  #list;
  #steps = new Map();

  constructor(list) {
    this.#list = list;
    for (const item of list.children) {
      this.#steps.set(item.dataset.level, { item, name: item.querySelector(".name").textContent, timeout: Number(item.dataset.timeout) });
      item.classList.add("ahead");
      item.style.setProperty("--depth", item.dataset.depth);
    }
  }

  /** Take in a line of the log. */
  read(line, number) {
    if (typeof line.message === "object") {
      if (line.message.definition === "lava" && line.message.result === "fail" && line.message.level) {
        this.#steps.get(String(line.message.level))?.item.classList.add("failed");
      }
      return;
    }
    const start = START.exec(line.message);
    if (start) {
      this.#start(start, line.when, number);
      return;
    }
    const end = END.exec(line.message);
    if (end) this.#end(this.#steps.get(end[1]), line.when);
  }

  /** The innermost action that runs, as {level, name, left: seconds}, or null. */
  running(now) {
    let found = null;
    for (const [level, step] of this.#steps) if (step.since) found = { level, ...step };
    if (found === null) return null;
    return { level: found.level, name: found.name, left: found.timeout ? found.timeout - (now - found.since) / 1000 : null };
  }

  /** Write the time that running actions have spent. */
  tick(now) {
    for (const step of this.#steps.values()) {
      if (step.since) this.#spent(step, (now - step.since) / 1000, true);
    }
  }

  /** Nothing runs any more. */
  finish() {
    for (const step of this.#steps.values()) {
      step.since = null;
      step.item.classList.remove("running");
      step.item.removeAttribute("aria-current");
    }
  }

  #start([, level, name, hours, minutes, seconds], when, number) {
    const step = this.#steps.get(level) ?? this.#add(level, name);
    step.timeout = hours === undefined ? 0 : Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
    step.since = when?.getTime() ?? null;
    step.tries = (step.tries ?? 0) + 1;
    step.item.classList.remove("ahead", "failed");
    step.item.classList.add("running");
    step.item.setAttribute("aria-current", "step");
    this.#link(step.item, number);
  }

  #end(step, when) {
    if (!step) return;
    step.item.classList.remove("running");
    step.item.removeAttribute("aria-current");
    if (step.since && when) this.#spent(step, (when.getTime() - step.since) / 1000, false);
    step.since = null;
  }

  #spent(step, seconds, running) {
    const tries = step.tries > 1 ? `${step.tries}× ` : "";
    const left = running && step.timeout ? ` of ${span(step.timeout)}` : "";
    step.item.querySelector(".spent").textContent = `${tries}${seconds < 10 && !running ? `${seconds.toFixed(1)} s` : span(seconds)}${left}`;
    step.item.classList.toggle("near", step.timeout > 0 && seconds >= NEAR * step.timeout);
    const share = step.timeout > 0 ? Math.min(1, seconds / step.timeout) : 0;
    step.item.style.setProperty("--share", share.toFixed(3));
  }

  #add(level, name) {
    const item = document.createElement("li");
    item.dataset.level = level;
    item.style.setProperty("--depth", level.split(".").length - 1);
    for (const [kind, text] of [["level", level], ["name", name], ["spent", ""]]) {
      const part = document.createElement("span");
      part.className = kind;
      part.textContent = text;
      item.append(part, " ");
    }
    this.#list.append(item);
    const step = { item, name };
    this.#steps.set(level, step);
    return step;
  }

  #link(item, number) {
    const name = item.querySelector(".name");
    const anchor = document.createElement("a");
    anchor.href = `#L${number}`;
    anchor.textContent = name.textContent;
    name.replaceChildren(anchor);
  }
}
