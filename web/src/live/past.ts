/** Occupancy over time, as spans of one state: what arrived since the page was opened, and in front of it what the
 *  server still knows. */
import { signal } from "@preact/signals";
import { ask } from "../api/client";
import { PastDocument, type PastQuery } from "../generated/operations";
import { listeners, type Cycle, type PresenceState } from "./cycle";
import { names } from "./words";

export interface Span {
  /** Unix milliseconds. */
  from: number;
  to: number;
  state: PresenceState;
}

export interface Lane {
  key: string;
  name: string;
  /** 0 the site, 1 a room, 2 a zone. */
  depth: number;
  /** Ascending, without overlap. A hole: nothing is known of that time. */
  spans: Span[];
}

export interface Count {
  from: number;
  to: number;
  people: number | null;
}

/** Two cycles further apart than this leave a hole, milliseconds. */
const HOLE_MS = 500;
/** Spans a lane keeps. */
const SPANS = 20_000;
/** Cycles of a page: 25 s. */
const PAGE = 500;

type Said = Pick<PastQuery["cycles"]["nodes"][number], "tMs" | "people" | "presence" | "rooms" | "zones">;

export const lanes: Lane[] = [];
export const counts: Count[] = [];
/** Time of the newest cycle, by the server's clock, and when it was heard here. */
export const newest = { tMs: 0, at: 0 };
/** Changes when something was put in front. */
export const filled = signal(0);

function areas(cycle: Said): { key: string; name: string; depth: number; state: PresenceState }[] {
  const area = (depth: number) => (a: Said["rooms"][number]) => ({
    key: `${depth} ${a.id}`,
    name: names(a.id, a.name),
    depth,
    state: a.presence.state,
  });
  return [
    { key: "site", name: "Whole site", depth: 0, state: cycle.presence.state },
    ...cycle.rooms.map(area(1)),
    ...cycle.zones.map(area(2)),
  ];
}

function put(into: { lanes: Lane[]; counts: Count[] }, cycle: Said): void {
  for (const { key, name, depth, state } of areas(cycle)) {
    let lane = into.lanes.find((l) => l.key === key);
    if (!lane) into.lanes.push((lane = { key, name, depth, spans: [] }));
    const last = lane.spans.at(-1);
    const joined = last && cycle.tMs - last.to <= HOLE_MS;
    if (joined) last.to = cycle.tMs;
    if (!joined || last.state !== state) lane.spans.push({ from: cycle.tMs, to: cycle.tMs, state });
    if (lane.spans.length > SPANS) lane.spans.splice(0, lane.spans.length - SPANS);
  }
  const last = into.counts.at(-1);
  const people = cycle.people ?? null;
  const joined = last && cycle.tMs - last.to <= HOLE_MS;
  if (joined) last.to = cycle.tMs;
  if (!joined || last.people !== people) into.counts.push({ from: cycle.tMs, to: cycle.tMs, people });
  if (into.counts.length > SPANS) into.counts.splice(0, into.counts.length - SPANS);
}

/** The oldest cycle that is known of, Unix milliseconds. */
let oldest = Number.POSITIVE_INFINITY;

/** From here on single cycles are known; before it, only sums. */
export function since(): number {
  return oldest;
}

/** Where the next page ends; null when the server has no more. */
let before: string | null | undefined;
let pages = 0;
let filling: Promise<void> = Promise.resolve();

export function start(): () => void {
  let restricted: boolean | undefined;
  const take = (cycle: Cycle) => {
    const now = cycle.privacyClass === "RESTRICTED";
    if (restricted !== undefined && restricted !== now) forget();
    restricted = now;
    oldest = Math.min(oldest, cycle.tMs);
    newest.tMs = cycle.tMs;
    newest.at = performance.now();
    put({ lanes, counts }, cycle);
  };
  listeners.add(take);
  return () => listeners.delete(take);
}

/** The class Restricted lets out no zones, of the past neither. */
function forget(): void {
  lanes.length = 0;
  counts.length = 0;
  oldest = Number.POSITIVE_INFINITY;
  before = undefined;
  pages = 0;
}

/** Puts what the server still has in front, until so many pages of cycles were asked for. */
export function fill(upTo: number): Promise<void> {
  filling = filling.then(async () => {
    while (pages < upTo && before !== null && Number.isFinite(oldest)) {
      const answer = await ask(PastDocument, { last: PAGE, before }).catch(() => undefined);
      if (!answer) return;
      pages++;
      const { nodes, pageInfo } = answer.cycles;
      before = pageInfo.hasPreviousPage ? (pageInfo.startCursor ?? null) : null;
      front(nodes.filter((c) => c.tMs < oldest));
    }
  });
  return filling;
}

function front(cycles: Said[]): void {
  const past: { lanes: Lane[]; counts: Count[] } = { lanes: [], counts: [] };
  for (const cycle of cycles) put(past, cycle);
  for (const { key, name, depth, spans } of past.lanes) {
    const lane = lanes.find((l) => l.key === key);
    if (lane) lane.spans.unshift(...spans);
    else lanes.push({ key, name, depth, spans });
  }
  counts.unshift(...past.counts);
  oldest = Math.min(oldest, ...cycles.slice(0, 1).map((c) => c.tMs));
  filled.value++;
}
