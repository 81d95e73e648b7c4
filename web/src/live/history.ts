/** Occupancy of the time of which this page has no single cycles: sums by second, minute, hour or day, as the server
 *  keeps them, asked for as fine as the screen can show. */
import { effect, signal } from "@preact/signals";
import { ask, tries } from "../api/client";
import { HistoryDocument, type HistoryQuery } from "../generated/operations";
import { boot, restricted, type PresenceState } from "./cycle";
import { keysOf } from "./diary";
import { site } from "./site";
import type { Stretch } from "./spans";

/** One window of one area: seconds spent in each state. */
export interface Bar extends Stretch {
  spent: { [state in PresenceState]: number };
  /** Mean, while it was known. */
  people: number | null;
}

/** Bars by the lane they belong to; each ascending. */
export const bars = new Map<string, readonly Bar[]>();
/** Changes when bars do. */
export const barred = signal(0);
/** How long a bar of what is shown lasts, in the server's word; nothing before the first answer. */
export const level = signal<string | undefined>(undefined);
/** Why some are missing. */
export const refused = signal<string | undefined>(undefined);

/** Points of a lane at most: finer would be less than two pixels each. */
const POINTS = 600;
/** The newest windows are asked for again this often, and what failed is, milliseconds. */
const AGAIN_MS = 5_000;
/** Of a long time they are asked for more seldom, but at least this often. */
const SELDOM_MS = 60_000;
/** Questions about the end of a lane: after days hours, after hours minutes, after minutes seconds. */
const TAILS = 3;

interface Asked extends Stretch {
  span: number;
  lanes: number;
  at: number;
}

/** What was answered last. */
let asked: Asked | undefined;
let failedAt = Number.NEGATIVE_INFINITY;
let busy = false;
/** Changes when something is forgotten: an answer to an older question may hold what was. */
let generation = 0;

export function start(): () => void {
  let before: { process: string; restricted: boolean } | undefined;
  return effect(() => {
    const now = { process: `${boot.value} ${tries.value}`, restricted: restricted.value };
    if (before && before.process !== now.process) forget();
    else if (before && before.restricted !== now.restricted) restrict();
    before = now;
  });
}

/** The area that a lane stands for: `diary.ts` writes its depth in front of the id, the site has none. */
function area(key: string): string | null {
  return key === "site" ? null : key.slice(2);
}

async function question(area: string | null, from: number, to: number): Promise<HistoryQuery["history"]> {
  const time = (ms: number) => new Date(ms).toISOString();
  return (await ask(HistoryDocument, { area, from: time(from), to: time(to), points: POINTS })).history;
}

function bar(p: HistoryQuery["history"]["points"][number]): Bar {
  return {
    from: Date.parse(p.from),
    to: Date.parse(p.to),
    spent: { OCCUPIED_MOVING: p.movingS, OCCUPIED_STILL: p.stillS, EMPTY: p.emptyS, UNKNOWN: p.unknownS },
    people: p.peopleMean ?? null,
  };
}

/** Up to when an answer tells. A full one ends with its last window; and nothing is finer than seconds. */
function told({ level, knownTo, points }: HistoryQuery["history"]): number {
  if (points.length >= POINTS) return Date.parse(points.at(-1)!.to);
  return level === "SECOND" ? Number.POSITIVE_INFINITY : Date.parse(knownTo);
}

/** The sums of an area. A day or an hour that still runs has none: what it has so far is asked for up to `to`, where the
 *  server answers finer. */
async function sums(area: string | null, wide: Stretch, to: number): Promise<{ level: string; of: Bar[] }> {
  const first = await question(area, wide.from, wide.to);
  const of = first.points.map(bar);
  let known = Math.max(told(first), wide.from);
  for (let tails = 0; tails < TAILS && known < to; tails++) {
    const tail = await question(area, known, to);
    of.push(...tail.points.map(bar));
    const further = told(tail);
    if (further <= known) break;
    known = further;
  }
  return { level: first.level.toLowerCase(), of };
}

/** Asks for what a window shows, when that is not here yet. Cheap to call often. */
export async function want(from: number, to: number, lanes: readonly string[]): Promise<void> {
  // The server refuses areas that it does not have, as those of a configuration before.
  const has = site.peek() && keysOf(site.peek()!);
  const keys = has ? lanes.filter((key) => has.has(key)) : lanes;
  const span = to - from;
  const now = performance.now();
  const here =
    asked &&
    asked.lanes === keys.length &&
    Math.abs(asked.span / span - 1) < 0.3 &&
    asked.from <= from &&
    // What ends now grows; what is all past does not.
    (asked.to >= to || now - asked.at < Math.max(AGAIN_MS, Math.min(SELDOM_MS, span / 200)));
  if (busy || here || keys.length === 0 || now - failedAt < AGAIN_MS) return;
  busy = true;
  const mine = generation;
  // Some more than is shown, so that moving a little shows no hole.
  const wide = { from: from - span / 4, to: to + span / 4 };
  let failed: string | undefined;
  try {
    for (const key of keys) {
      const answer = await sums(area(key), wide, to).catch((error: Error) => error);
      if (mine !== generation) return;
      // The other lanes can be shown all the same.
      if (answer instanceof Error) {
        failed = answer.message;
        continue;
      }
      level.value = answer.level;
      bars.set(key, answer.of);
    }
    asked = failed ? undefined : { ...wide, to: wide.to > Date.now() ? to : wide.to, span, lanes: keys.length, at: now };
    if (failed) failedAt = performance.now();
    refused.value = failed;
  } finally {
    busy = false;
    barred.value++;
  }
}

/** Forgets what another process, or another reader, was let out. */
function forget(): void {
  bars.clear();
  again();
}

/** Forgets what the class takes back, or asks for what it lets out now: zones and counts. Rooms stay. */
function restrict(): void {
  for (const [key, of] of bars) {
    if (key.startsWith("2 ")) bars.delete(key);
    else bars.set(key, of.map((bar) => ({ ...bar, people: null })));
  }
  again();
}

function again(): void {
  generation++;
  asked = undefined;
  failedAt = Number.NEGATIVE_INFINITY;
  barred.value = barred.peek() + 1;
}
