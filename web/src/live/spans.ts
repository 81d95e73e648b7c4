/** Stretches of time: what they cover, and what they leave open. Lists are ascending, without overlap. */

export interface Stretch {
  /** Unix milliseconds. */
  from: number;
  to: number;
}

/** Two cycles further apart than this leave a hole, milliseconds. */
export const HOLE_MS = 500;

/** The parts of a window that nothing covers. */
export function holes(spans: readonly Stretch[], window: Stretch): Stretch[] {
  const found: Stretch[] = [];
  let known = window.from;
  for (let i = firstAfter(spans, window.from); i < spans.length && spans[i]!.from < window.to; i++) {
    const { from, to } = spans[i]!;
    if (from - known > HOLE_MS) found.push({ from: known, to: from });
    known = Math.max(known, to);
  }
  if (window.to - known > HOLE_MS) found.push({ from: known, to: window.to });
  return found;
}

/** The parts of a stretch that lie in one of the holes. */
export function within(stretch: Stretch, open: readonly Stretch[]): Stretch[] {
  const parts: Stretch[] = [];
  for (const hole of open) {
    const part = { from: Math.max(stretch.from, hole.from), to: Math.min(stretch.to, hole.to) };
    if (part.to > part.from) parts.push(part);
  }
  return parts;
}

/** Puts what was before in front; what is known already stays as it is. */
export function putBefore<S extends Stretch>(into: S[], earlier: readonly S[]): void {
  const first = into[0]?.from ?? Number.POSITIVE_INFINITY;
  const added = earlier.filter((s) => s.from < first).map((s) => ({ ...s, to: Math.min(s.to, first) }));
  const last = added.at(-1);
  if (last && first - last.to <= HOLE_MS) last.to = first;
  into.unshift(...added);
}

/** Index of the first that ends after a time. */
function firstAfter(spans: readonly Stretch[], time: number): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.to > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
