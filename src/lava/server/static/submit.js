// A click on "line 14, column 5" of a fault puts the cursor there.

const text = document.getElementById("definition");

function offsetOf(line, column) {
  let start = 0;
  for (let number = 1; number < line; number += 1) {
    const end = text.value.indexOf("\n", start);
    if (end < 0) break;
    start = end + 1;
  }
  return start + column - 1;
}

for (const link of document.querySelectorAll("a[data-line]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const line = Number(link.dataset.line);
    const at = offsetOf(line, Number(link.dataset.column));
    text.focus();
    text.setSelectionRange(at, at + 1);
    text.scrollTop = (line - 3) * parseFloat(getComputedStyle(text).lineHeight);
  });
}
