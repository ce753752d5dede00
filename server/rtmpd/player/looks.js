// When a player asks whether its stream is live: later each time, and rarely where somebody has to change something.

const ANSWER = 10; // Seconds in which a server says it.
const WAITS = [1, 2, 3, 5, 8, 10]; // Seconds between tries.
// Seconds between tries where somebody has to change something. Of wrong proofs the server counts each, forgets one a
// minute, and bans the whole address for ten.
const RARELY = { unproven: 30, forbidden: 150, refused: 30, unsupported: 30 };

export class Looks {
  /** `look()` asks, by `ask`. */
  constructor(look) {
    this.look = look;
    this.tries = 0;
    this.timer = null;
    this.question = null;
    this.isRare = false;
  }

  /** What `source` says; null where it is asked anew meanwhile, or nobody wants to know any more. */
  async ask(source) {
    this.forget();
    this.question?.abort();
    const question = (this.question = new AbortController());
    const patience = setTimeout(() => question.abort(), ANSWER * 1000);
    const status = await source.status(question.signal);
    clearTimeout(patience);
    if (question !== this.question) return null;
    this.question = null;
    this.isRare = false;
    return status;
  }

  /** Try once more, later each time; rarely where `state` is why it failed. */
  again(state) {
    const seconds = RARELY[state] ?? WAITS[Math.min(this.tries, WAITS.length - 1)];
    this.tries += 1;
    this.later(seconds * (0.8 + 0.4 * Math.random()));
    this.isRare = state in RARELY;
  }

  /** Look in so many seconds, unless that is done sooner. */
  later(seconds) {
    const due = performance.now() + seconds * 1000;
    if (this.timer !== null && this.due <= due) return;
    this.forget();
    this.due = due;
    this.timer = setTimeout(() => this.look(), seconds * 1000);
  }

  /** Look now, as something has changed; not where that does not help, and too many do harm. */
  now() {
    if (!this.isRare) this.look();
  }

  forget() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  close() {
    this.forget();
    this.question?.abort();
    this.question = null;
  }
}
