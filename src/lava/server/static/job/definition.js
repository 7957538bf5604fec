// Colours for the YAML of a job definition, and copying it.

const TOKEN = /(^|\s)(#.*)|((?:^|[\s{,])\s*(?:- +)*)("[^"]*"|'[^']*'|[\w./$][\w./$ -]*?)(:)(?=\s|$)|("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')/g;

const source = document.getElementById("definition");
const text = source.textContent;
source.replaceChildren(...text.split("\n").flatMap((line) => [...coloured(line), "\n"]).slice(0, -1));

function* coloured(line) {
  let from = 0;
  for (const match of line.matchAll(TOKEN)) {
    const [whole, , comment, before, key, , quoted] = match;
    const word = comment ?? key ?? quoted;
    const start = match.index + (key !== undefined ? before.length : whole.length - word.length);
    yield line.slice(from, start);
    yield element(comment !== undefined ? "comment" : key !== undefined ? "key" : "quoted", word);
    from = start + word.length;
    if (comment !== undefined) break;
  }
  yield line.slice(from);
}

function element(kind, word) {
  const span = document.createElement("span");
  span.className = `yaml-${kind}`;
  span.textContent = word;
  return span;
}

const copy = document.getElementById("copy");
if (navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
}
