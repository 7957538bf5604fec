// The pipeline beside the log: which action runs, how long it may, how long the others took.
// A job that ended brings its whole plan in the page; of a running one, what its log says so far is shown.

import { span } from "./clock.js";

/** the validation of the job has a start like an action, and an end of its own */
const VALIDATED = /^validate duration: /;
const VALIDATE = "0";
/** inner actions that took less than so many seconds are left out until all are asked for */
const QUICK_SECONDS = 0.1;
const START = /^start: (\S+) (\S+)(?: \(timeout (\d+):(\d\d):(\d\d)\))?/;
const END = /^end: (\S+) (\S+) /;
/** an action that took more than this share of its time is pointed out */
const NEAR = 0.85;

export class Plan {
  #list;
  #button;
  #steps = new Map();
  #shownAsRunning = null;

  constructor(list, button) {
    this.#list = list;
    this.#button = button;
    button.addEventListener("click", () => {
      list.classList.toggle("all");
      this.#countQuick();
    });
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
    const level = VALIDATED.test(line.message) ? VALIDATE : END.exec(line.message)?.[1];
    if (level) this.#end(this.#steps.get(level), line.when);
  }

  /** The innermost action that runs, as {level, name, left: seconds}, or null. */
  running(now) {
    let found = null;
    for (const [level, step] of this.#steps) {
      // Of actions that run at once one holds the others: the one with the longest level is at work.
      if (step.since && (found === null || level.length >= found.level.length)) found = { level, ...step };
    }
    if (found === null) return null;
    return { level: found.level, name: found.name, left: found.timeout ? found.timeout - (now - found.since) / 1000 : null };
  }

  /** Write the time that running actions have spent. */
  tick(now) {
    for (const step of this.#steps.values()) {
      if (step.since) this.#spent(step, (now - step.since) / 1000, true);
    }
    this.#countQuick();
    const running = this.#list.querySelector(".running:not(:has(~ .running))");
    if (running && running !== this.#shownAsRunning) {
      this.#list.scrollTop = running.offsetTop - this.#list.clientHeight / 2;
    }
    this.#shownAsRunning = running;
  }

  /** Nothing runs any more. */
  finish() {
    for (const step of this.#steps.values()) {
      step.since = null;
      step.item.classList.remove("running");
      step.item.removeAttribute("aria-current");
    }
    this.#countQuick();
  }

  #countQuick() {
    const quick = this.#list.querySelectorAll(".quick").length;
    this.#button.hidden = quick === 0;
    const all = this.#list.classList.contains("all");
    const text = all ? "Leave out quick ones" : `All, with ${quick} quick one${quick === 1 ? "" : "s"}`;
    if (this.#button.textContent !== text) this.#button.textContent = text;
  }

  #start([, level, name, hours, minutes, seconds], when, number) {
    const step = this.#steps.get(level) ?? this.#add(level, name);
    step.timeout = hours === undefined ? 0 : Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
    step.since = when?.getTime() ?? null;
    step.tries = (step.tries ?? 0) + 1;
    step.item.classList.remove("ahead", "failed", "quick");
    step.item.classList.add("running");
    step.item.setAttribute("aria-current", "step");
    this.#link(step.item, number);
  }

  #end(step, when) {
    if (!step) return;
    step.item.classList.remove("running");
    step.item.removeAttribute("aria-current");
    if (step.since && when) {
      const seconds = (when.getTime() - step.since) / 1000;
      this.#spent(step, seconds, false);
      step.item.classList.toggle("quick", seconds < QUICK_SECONDS && step.item.dataset.level.split(".").length > 2);
    }
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
    const after = [...this.#list.children].find((other) => compareLevels(other.dataset.level, level) > 0);
    this.#list.insertBefore(item, after ?? null);
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

function compareLevels(left, right) {
  const [first, second] = [left, right].map((level) => level.split(".").map(Number));
  for (let place = 0; place < Math.max(first.length, second.length); place += 1) {
    const difference = (first[place] ?? -1) - (second[place] ?? -1);
    if (difference) return difference;
  }
  return 0;
}
