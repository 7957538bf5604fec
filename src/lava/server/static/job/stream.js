// The stream of a job's events: kept open while somebody looks, taken up again where it stopped.
//
// A browser allows few connections to one server: with HTTP/1.1 six, for all tabs together.  A tab that nobody looks at
// therefore gives its connection back and only looks from time to time whether the job has ended.

/** a server that answers with an error is asked again after so long */
const RETRY_MS = 5000;
/** a hidden tab keeps its connection for so long, and is without one for so long */
const REST_AFTER_MS = 3000;
const REST_MS = 20_000;

export class Stream {
  #address;
  #to;
  #events = null;
  #position = "0";
  #ended = false;
  #timer = 0;

  /** Follow the stream; ``to`` is told by lines(rows), state(object), end(), open() and trouble(). */
  constructor(address, to) {
    this.#address = address;
    this.#to = to;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#later(REST_AFTER_MS, () => this.#rest());
      else if (this.#events === null) this.#open();
      else clearTimeout(this.#timer);
    });
    this.#open();
  }

  #open() {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    const address = new URL(this.#address, location.href);
    address.searchParams.set("offset", this.#position);
    const events = new EventSource(address);
    this.#events = events;
    events.addEventListener("open", () => this.#to.open());
    events.addEventListener("lines", (event) => {
      this.#position = event.lastEventId;
      this.#to.lines(event.data.split("\n"));
    });
    events.addEventListener("state", (event) => this.#to.state(JSON.parse(event.data)));
    events.addEventListener("end", () => {
      this.#ended = true;
      this.#close();
      this.#to.end();
    });
    events.addEventListener("error", () => {
      this.#to.trouble();
      // The browser itself comes back after a lost connection, but gives up when it is answered with an error.
      if (events.readyState !== EventSource.CLOSED) return;
      this.#close();
      this.#later(RETRY_MS, () => this.#open());
    });
    if (document.hidden) this.#later(REST_AFTER_MS, () => this.#rest());
  }

  #rest() {
    if (this.#ended || !document.hidden) return;
    this.#close();
    this.#later(REST_MS, () => this.#open());
  }

  #later(milliseconds, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, milliseconds);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }
}
