// Times and spans of time, written as the server writes them.

/** 4 s, 3:05, 2:03:05 */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return `${hours}:${two(minutes)}:${two(rest)}`;
  return minutes ? `${minutes}:${two(rest)}` : `${rest} s`;
}

/** A <time> element, in UTC. */
export function timeElement(iso) {
  const element = document.createElement("time");
  element.dateTime = iso;
  element.textContent = iso.slice(0, 19).replace("T", " ");
  element.title = `${element.textContent} UTC`;
  return element;
}

/** The server's clock, whatever this machine's says. */
export class ServerClock {
  #ahead = 0;

  set(iso) {
    this.#ahead = Date.parse(iso) - Date.now();
  }

  now() {
    return Date.now() + this.#ahead;
  }
}
