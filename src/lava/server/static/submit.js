// The form of a job: line numbers, a check after each pause in typing, and a way from a fault to its place.

const PAUSE_MILLISECONDS = 500;

const text = document.getElementById("definition");
const findings = document.getElementById("findings");
const gutter = document.querySelector(".gutter");
let timer;
let checking = new AbortController();

function number() {
  const marked = new Map();
  for (const link of findings.querySelectorAll("a[data-line]")) marked.set(Number(link.dataset.line), link);
  const lines = text.value.split("\n").length;
  gutter.replaceChildren();
  for (let line = 1; line <= lines; line += 1) {
    const entry = document.createElement("span");
    entry.textContent = `${line}\n`;
    const fault = marked.get(line);
    if (fault) {
      entry.className = fault.closest(".bad") ? "wrong" : "doubtful";
      entry.title = fault.closest("li").querySelector(".what").textContent;
    }
    gutter.append(entry);
  }
  gutter.scrollTop = text.scrollTop;
}

async function check() {
  checking.abort();
  checking = new AbortController();
  const form = new FormData(text.form);
  form.set("check", "1");
  const response = await fetch(text.form.dataset.check, {
    method: "POST", body: form, headers: { "X-Requested-With": "check" }, signal: checking.signal,
  });
  if (!response.ok) return;
  const answer = new DOMParser().parseFromString(await response.text(), "text/html");
  findings.replaceChildren(...answer.body.childNodes);
  number();
}

function offsetOf(line, column) {
  let start = 0;
  for (let passed = 1; passed < line; passed += 1) {
    const end = text.value.indexOf("\n", start);
    if (end < 0) break;
    start = end + 1;
  }
  return start + column - 1;
}

findings.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-line]");
  if (!link) return;
  event.preventDefault();
  const line = Number(link.dataset.line);
  const at = offsetOf(line, Number(link.dataset.column));
  text.focus();
  text.setSelectionRange(at, at + 1);
  text.scrollTop = (line - 3) * parseFloat(getComputedStyle(text).lineHeight);
});

text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
text.addEventListener("input", () => {
  number();
  clearTimeout(timer);
  // A check that fails, because the server is away, leaves what was found before.
  if (text.value.trim()) timer = setTimeout(() => check().catch(() => {}), PAUSE_MILLISECONDS);
});
number();
