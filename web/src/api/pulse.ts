/** Whether the other end of the connection is still there. A cable that is pulled, or a laptop that slept, closes nothing: the
 *  socket stays open and silent, and only an answer that does not come tells. */

/** A ping is answered within this time, milliseconds; what is slower is no live connection. */
export const PONG_MS = 5_000;
/** Cycles come twenty times a second: with nothing for this long when the page is looked at again, the connection is gone. */
export const SILENT_MS = 3_000;

export class Pulse {
  private open = false;
  private heardAt = 0;
  private wait: ReturnType<typeof setTimeout> | undefined;

  /** `now` is the clock on the wall, milliseconds: it goes on while the machine sleeps, which the page's own may not. */
  constructor(
    private readonly dead: () => void,
    private readonly now: () => number = Date.now,
  ) {}

  /** The connection stands. */
  begin(): void {
    this.open = true;
    this.heard();
  }

  /** It ended. */
  end(): void {
    this.open = false;
    this.answered();
  }

  /** Something came. */
  heard(): void {
    this.heardAt = this.now();
  }

  /** A ping went out. */
  asked(): void {
    this.wait ??= setTimeout(() => this.giveUp(), PONG_MS);
  }

  /** Its pong came. */
  answered(): void {
    clearTimeout(this.wait);
    this.wait = undefined;
  }

  /** There is a network again, or somebody looks at the page again. */
  woke(): void {
    if (this.open && this.now() - this.heardAt > SILENT_MS) this.giveUp();
  }

  private giveUp(): void {
    this.end();
    this.dead();
  }
}
