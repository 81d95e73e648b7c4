/** Moving and stretching the time axis with one finger or two: what was under them when they came down stays under them. */

/** Where fingers are: their middle, and how far they are apart (0: one finger); pixels. */
export interface Touch {
  x: number;
  apart: number;
}

/** What was shown when they came down. */
export interface Grip extends Touch {
  span: number;
  to: number;
}

export function touch(fingers: Iterable<{ x: number; y: number }>): Touch {
  const all = [...fingers];
  const x = all.reduce((sum, f) => sum + f.x, 0) / Math.max(1, all.length);
  const [a, b] = all;
  return { x, apart: a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0 };
}

/** What is shown while they move, in a box so wide; no span shorter or longer than these. */
export function held(grip: Grip, now: Touch, width: number, [least, most]: readonly [number, number]): { span: number; to: number } {
  const two = grip.apart > 0 && now.apart > 0;
  const span = two ? Math.min(most, Math.max(least, (grip.span * grip.apart) / now.apart)) : grip.span;
  // Time to the right of the middle, then and now.
  const then = grip.span * (1 - grip.x / width);
  return { span, to: grip.to - then + span * (1 - now.x / width) };
}
