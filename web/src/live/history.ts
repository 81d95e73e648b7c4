/** Occupancy further back than the single cycles this page has seen: sums by second, minute, hour or day, as the server
 *  keeps them, asked for as fine as the screen can show. */
import { signal } from "@preact/signals";
import { ask } from "../api/client";
import { HistoryDocument } from "../generated/operations";
import type { PresenceState } from "./cycle";

/** One window of one area: seconds spent in each state. */
export interface Bar {
  /** Unix milliseconds. */
  from: number;
  to: number;
  /** Seconds. */
  spent: Record<PresenceState, number>;
  people: number | null;
}

/** Bars by the lane they belong to; each ascending. */
export const bars = new Map<string, readonly Bar[]>();
/** Changes when bars do. */
export const barred = signal(0);
/** How long a bar of what is shown lasts, in the server's word; nothing before the first answer. */
export const level = signal<string | undefined>(undefined);
/** Why there are none. */
export const refused = signal<string | undefined>(undefined);

/** Points of a lane at most: finer would be less than two pixels each. */
const POINTS = 600;
/** The newest windows are asked for again this often, milliseconds. */
const AGAIN_MS = 5_000;

interface Asked {
  from: number;
  to: number;
  span: number;
  lanes: number;
  at: number;
}

let asked: Asked | undefined;
let busy = false;

/** The area that a lane stands for: `live/past.ts` writes its depth in front of the id, the site has none. */
function area(key: string): string | null {
  return key === "site" ? null : key.slice(2);
}

/** Asks for what a window shows, when that is not here yet. Cheap to call often. */
export async function want(from: number, to: number, keys: readonly string[]): Promise<void> {
  const span = to - from;
  const now = performance.now();
  const here =
    asked &&
    asked.lanes === keys.length &&
    Math.abs(asked.span / span - 1) < 0.3 &&
    asked.from <= from &&
    // What ends now grows; what is all past does not.
    (asked.to >= to || now - asked.at < Math.max(AGAIN_MS, span / 200));
  if (busy || here || keys.length === 0) return;
  busy = true;
  // Some more than is shown, so that moving a little shows no hole.
  const wide = { from: from - span / 4, to: to + span / 4 };
  asked = { ...wide, span, lanes: keys.length, at: now };
  if (wide.to > Date.now()) asked.to = to;
  try {
    for (const key of keys) {
      const { history } = await ask(HistoryDocument, {
        area: area(key),
        from: new Date(wide.from).toISOString(),
        to: new Date(wide.to).toISOString(),
        points: POINTS,
      });
      level.value = history.level.toLowerCase();
      bars.set(
        key,
        history.points.map((p) => ({
          from: Date.parse(p.from),
          to: Date.parse(p.to),
          spent: { OCCUPIED_MOVING: p.movingS, OCCUPIED_STILL: p.stillS, EMPTY: p.emptyS, UNKNOWN: p.unknownS },
          people: p.peopleMean ?? null,
        })),
      );
    }
    refused.value = undefined;
  } catch (error) {
    refused.value = error instanceof Error ? error.message : "the server did not answer";
  }
  busy = false;
  barred.value++;
}

/** Forgets what another class, or another process, let out. */
export function forget(): void {
  bars.clear();
  asked = undefined;
  barred.value++;
}
