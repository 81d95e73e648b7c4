/** A question that is asked until it is answered; an answer to an older one counts no more. */

/** Milliseconds between two attempts: the first, and the most. */
const [FIRST_MS, MOST_MS] = [1_000, 30_000];

export class Latest<T> {
  private generation = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly ask: () => Promise<T>,
    private readonly took: (answer: T) => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Asks anew. */
  begin(): void {
    this.stop();
    void this.attempt(this.generation, FIRST_MS);
  }

  /** Wants no answer any more. */
  stop(): void {
    this.generation++;
    clearTimeout(this.timer);
  }

  private async attempt(mine: number, waitMs: number): Promise<void> {
    try {
      const answer = await this.ask();
      if (mine === this.generation) this.took(answer);
    } catch (error) {
      if (mine !== this.generation) return;
      this.failed(error);
      this.timer = setTimeout(() => void this.attempt(mine, Math.min(2 * waitMs, MOST_MS)), waitMs);
    }
  }
}
