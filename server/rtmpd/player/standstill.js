// How long a player has shown no picture, and when that is too long.

const PATIENCE = 2500; // Milliseconds without a picture until it is asked why.
const STANDS = 10; // Seconds without one, of what is live, until it is begun anew,
const BEGINS = 30; // and in front of the first one: HLS may have to wait for whole segments.

export class Standstill {
  /** `told()` is called when one has lasted for a while. */
  constructor(told) {
    this.told = told;
    this.shown = false; // This engine has shown a picture,
    this.overdue = Infinity; // and the next one should be there by then, by performance.now().
  }

  /** An engine begins. */
  begin() {
    this.started = performance.now();
    this.shown = false;
    this.overdue = Infinity;
    this.wait();
  }

  /** Nothing is shown from now on. */
  wait() {
    clearTimeout(this.timer);
    this.overdue = Math.min(this.overdue, this.#latest);
    this.timer = setTimeout(this.told, PATIENCE);
  }

  /** There is a picture. */
  end() {
    clearTimeout(this.timer);
    this.shown = true;
    this.overdue = Infinity;
  }

  /** It may take as long again. */
  grant() {
    this.overdue = Math.max(this.overdue, this.#latest);
  }

  /** Seconds until it has lasted too long. */
  get left() {
    return (this.overdue - performance.now()) / 1000;
  }

  /** Seconds since the engine began. */
  get age() {
    return (performance.now() - this.started) / 1000;
  }

  close() {
    clearTimeout(this.timer);
  }

  get #latest() {
    return performance.now() + (this.shown ? STANDS : BEGINS) * 1000;
  }
}
