// Find in the whole log, also in lines that have no rows.  "/" goes there, Enter to the next, Shift+Enter back.

export class Search {
  #form;
  #log;
  #found = [];
  #at = -1;
  #text = "";
  #length = 0;

  constructor(form, log, onMove) {
    this.#form = form;
    this.#log = log;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#go(1)) onMove();
    });
    form.elements.back.addEventListener("click", () => this.#go(-1) && onMove());
    form.elements.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        if (this.#go(-1)) onMove();
      }
    });
    addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.matches("input, textarea")) return;
      event.preventDefault();
      form.elements.text.focus();
    });
  }

  #go(step) {
    const text = this.#form.elements.text.value;
    const output = this.#form.querySelector("output");
    if (text === "") {
      output.textContent = "";
      return false;
    }
    if (text !== this.#text || this.#log.length !== this.#length) {
      const here = text === this.#text ? this.#found[this.#at] : undefined;
      this.#found = this.#log.find(text);
      this.#text = text;
      this.#length = this.#log.length;
      this.#at = here === undefined ? -1 : this.#found.indexOf(here);
    }
    if (this.#found.length === 0) {
      output.textContent = "none";
      return false;
    }
    const count = this.#found.length;
    this.#at = this.#at < 0 && step < 0 ? count - 1 : (this.#at + step + count) % count;
    output.textContent = `${this.#at + 1}/${count}`;
    return this.#log.reveal(this.#found[this.#at]);
  }
}
