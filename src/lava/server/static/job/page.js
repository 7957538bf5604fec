// The page of one job: follows the stream of events and tells the parts of the page.

import { ServerClock, span, timeElement } from "./clock.js";
import { Follower } from "./follow.js";
import { LogView, RESULTS } from "./log.js";
import { LEVELS, parseLine } from "./logline.js";
import { Plan } from "./plan.js";
import { Results } from "./results.js";
import { Search } from "./search.js";
import { Stream } from "./stream.js";

const HIDDEN_LEVELS = "lava.hidden-levels";
/** lines that the plan wants to know of */
const MILESTONE = /"msg": "(?:start: |end: |validate duration: )/;
const ERRORS = [LEVELS.indexOf("exception"), LEVELS.indexOf("error")];
const MARKS = { Complete: "✓", Incomplete: "✗", Canceled: "⊘" };

const part = (id) => document.getElementById(id);
const live = part("live");
live.hidden = false;
const clock = new ServerClock();
const log = new LogView(part("log"));
const plan = new Plan(part("plan"), part("all-steps"));
const results = new Results(part("results"), part("totals"), live.dataset.results);
const follower = new Follower(part("follow"));
const title = document.title;
let state = null;
let complete = false;
let firstError = null;
let wantedLine = lineOfAddress();
const seenLevels = new Set();

new Search(part("find"), log, () => follower.stop());
setUpLevels();
setUpPanels();
part("wrap").addEventListener("change", (event) => part("log").classList.toggle("no-wrap", !event.target.checked));
addEventListener("beforeprint", () => log.fillAll());
addEventListener("hashchange", goToAddress);
// Rows are of other heights than was assumed before they were made, and panels fold.
new ResizeObserver(() => follower.catchUp()).observe(part("log"));
// The address stays the same when the same line is chosen again.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.('a[href^="#L"]');
  if (anchor && anchor.hash === location.hash) goToAddress();
});
setInterval(tick, 1000);
new Stream(live.dataset.stream, {
  lines: addLines,
  state: showState,
  end: () => {
    complete = true;
    plan.finish();
    showFirstError();
    showTail();
  },
  open: () => showTail(),
  trouble: () => showTail("Connection lost, trying again…"),
});

function addLines(rows) {
  log.append(rows, (level, raw, number) => {
    if (!seenLevels.has(level)) {
      seenLevels.add(level);
      part("levels").querySelector(`.l-${LEVELS[level]}`).hidden = false;
    }
    if (firstError === null && ERRORS.includes(level)) firstError = number;
    if (level === RESULTS) {
      const line = parseLine(raw);
      results.read(line.message, number);
      plan.read(line, number);
    } else if (MILESTONE.test(raw)) {
      plan.read(parseLine(raw), number);
    }
  });
  if (wantedLine !== null && log.reveal(wantedLine)) wantedLine = null;
  follower.catchUp();
  showTail();
  tick();
}

function showState(news) {
  const first = state === null;
  state = news;
  clock.set(news.now);
  const finished = news.state === "Finished";
  const word = finished ? news.health : news.state;
  part("verdict").replaceChildren(badge(word));
  document.title = `${MARKS[word] ?? "●"} ${finished ? "" : `${word} · `}${title}`;
  part("reason").hidden = !news.reason;
  part("reason").lastElementChild.textContent = news.reason;
  part("error").hidden = !finished || !news.error;
  part("error").querySelector("strong").textContent = news.error_type ? `${news.error_type} error` : "";
  part("error").querySelector("span").textContent = news.error;
  if (news.device) showDevice(news.device);
  if (news.start_time) part("started").replaceChildren(timeElement(news.start_time));
  if (news.end_time) part("ended").replaceChildren(timeElement(news.end_time));
  if (finished) {
    part("cancel")?.remove();
  } else if (first && wantedLine === null) {
    follower.start();
  }
  part("follow").parentElement.hidden = finished;
  tick();
  showTail();
}

function showFirstError() {
  if (firstError === null) return;
  part("first-error").href = `#L${firstError}`;
  part("first-error").hidden = false;
}

function badge(word) {
  const element = document.createElement("span");
  element.className = `badge is-${word.toLowerCase()}`;
  element.textContent = word;
  return element;
}

function showDevice(name) {
  const anchor = document.createElement("a");
  anchor.href = `/scheduler/device/${encodeURIComponent(name)}`;
  anchor.textContent = name;
  part("device").replaceChildren(anchor);
}

function tick() {
  if (state === null) return;
  const finished = state.state === "Finished";
  const now = clock.now();
  if (state.start_time) {
    const until = state.end_time ? Date.parse(state.end_time) : now;
    part("duration").textContent = span((until - Date.parse(state.start_time)) / 1000);
  }
  const bar = part("now");
  if (finished) {
    bar.replaceChildren(badge(state.health));
    return;
  }
  plan.tick(now);
  const running = plan.running(now);
  const text = running === null ? "" : ` ${running.level} ${running.name}`;
  const left = running?.left == null ? "" : ` · ${span(running.left)} left`;
  bar.replaceChildren(badge(state.state), text, left);
}

function showTail(trouble = "") {
  const count = `${log.length.toLocaleString("en")} line${log.length === 1 ? "" : "s"}`;
  let text = log.length ? `${count}, following…` : "Nothing in the log yet.";
  if (complete) text = `End of the log, ${count}.`;
  else if (state?.state === "Finished") text = `${count}, loading…`;
  part("tail").textContent = trouble || text;
  part("tail").classList.toggle("trouble", trouble !== "");
}

function lineOfAddress() {
  const match = /^#L(\d+)$/.exec(location.hash);
  return match ? Number(match[1]) : null;
}

function goToAddress() {
  wantedLine = lineOfAddress();
  if (wantedLine === null) return;
  follower.stop();
  if (log.reveal(wantedLine)) wantedLine = null;
}

function setUpLevels() {
  let hidden;
  try {
    hidden = new Set(JSON.parse(localStorage.getItem(HIDDEN_LEVELS) ?? "[]"));
  } catch {
    hidden = new Set();
  }
  for (const level of LEVELS) {
    const label = document.createElement("label");
    label.className = `level l-${level}`;
    label.hidden = true;
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !hidden.has(level);
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(level);
      else hidden.add(level);
      localStorage.setItem(HIDDEN_LEVELS, JSON.stringify([...hidden]));
      log.hide(hidden);
      follower.catchUp();
    });
    label.append(box, level);
    part("levels").append(label);
  }
  log.hide(hidden);
}

function setUpPanels() {
  if (matchMedia("(max-width: 64rem)").matches) {
    for (const panel of document.querySelectorAll(".sides > details")) panel.open = false;
  }
}
