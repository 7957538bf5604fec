// Keep the end of the page in view while lines come, until somebody scrolls up.

export class Follower {
  #box;
  #lastTop = 0;
  #asked = false;

  constructor(box) {
    this.#box = box;
    box.addEventListener("change", () => this.catchUp());
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("wheel", (event) => event.deltaY < 0 && this.stop(), { passive: true });
    addEventListener("keydown", (event) => ["PageUp", "Home", "ArrowUp"].includes(event.key) && this.stop());
  }

  get on() {
    return this.#box.checked;
  }

  start() {
    this.#box.checked = true;
    this.catchUp();
  }

  stop() {
    this.#box.checked = false;
  }

  /** Scroll to the end, in the next frame. */
  catchUp() {
    if (!this.on || this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      if (this.on) scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    });
  }

  #scrolled() {
    const bottom = document.documentElement.scrollHeight - innerHeight;
    // A finger or the scroll bar: up by more than what a row that changed its height explains.
    if (scrollY < this.#lastTop - 60 && scrollY < bottom - 60) this.stop();
    this.#lastTop = scrollY;
  }
}
