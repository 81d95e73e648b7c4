/** What single cycles said, as spans of one state: a lane an area, and how many people. */
import type { PastQuery } from "../generated/operations";
import type { PresenceState } from "./cycle";
import type { Site } from "./site";
import { HOLE_MS, putBefore, type Stretch } from "./spans";
import { names } from "./words";

export interface Span extends Stretch {
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

export interface Count extends Stretch {
  people: number | null;
}

/** What of a cycle is kept. */
export type Said = Pick<PastQuery["cycles"]["nodes"][number], "tMs" | "people" | "presence" | "rooms" | "zones">;

/** Spans a lane keeps. */
const SPANS = 20_000;

/** The lanes that a site has. */
export function keysOf({ site }: Site): ReadonlySet<string> {
  return new Set(["site", ...site.rooms.map((room) => key(1, room.id)), ...site.zones.map((zone) => key(2, zone.id))]);
}

function key(depth: number, id: string): string {
  return `${depth} ${id}`;
}

function areas(cycle: Said): { key: string; name: string; depth: number; state: PresenceState }[] {
  // An area without an id is no longer configured: several would share a lane, and the server tells no more of it.
  const area = (depth: number) => (a: Said["rooms"][number]) =>
    a.id == null ? [] : [{ key: key(depth, a.id), name: names(a.id, a.name), depth, state: a.presence.state }];
  return [
    { key: "site", name: "Whole site", depth: 0, state: cycle.presence.state },
    ...cycle.rooms.flatMap(area(1)),
    ...cycle.zones.flatMap(area(2)),
  ];
}

export class Diary {
  readonly lanes: Lane[] = [];
  readonly counts: Count[] = [];

  /** A cycle after all that are known. */
  take(cycle: Said): void {
    for (const { key, name, depth, state } of areas(cycle)) {
      let lane = this.lanes.find((l) => l.key === key);
      if (!lane) this.lanes.push((lane = { key, name, depth, spans: [] }));
      lengthen(lane.spans, { from: cycle.tMs, to: cycle.tMs, state }, (a, b) => a.state === b.state);
    }
    lengthen(this.counts, { from: cycle.tMs, to: cycle.tMs, people: cycle.people ?? null }, (a, b) => a.people === b.people);
  }

  /** Cycles before those that are known, ascending; a lane takes what is before its own first. */
  front(cycles: readonly Said[]): void {
    const past = new Diary();
    for (const cycle of cycles) past.take(cycle);
    for (const lane of past.lanes) {
      const known = this.lanes.find((l) => l.key === lane.key);
      if (known) putBefore(known.spans, lane.spans);
      else this.lanes.push(lane);
    }
    putBefore(this.counts, past.counts);
  }

  /** Drops the lanes that are none of these. */
  keep(keys: ReadonlySet<string>): void {
    this.lanes.splice(0, this.lanes.length, ...this.lanes.filter((lane) => keys.has(lane.key)));
  }

  /** What does not leave under the class Restricted, of the past neither: zones and counts. Rooms stay. */
  restrict(): void {
    this.lanes.splice(0, this.lanes.length, ...this.lanes.filter((lane) => lane.depth < 2));
    this.counts.length = 0;
  }
}

function lengthen<S extends Stretch>(spans: S[], next: S, same: (a: S, b: S) => boolean): void {
  // A wall clock that was set back: that time comes again, and what comes now counts.
  while (spans.length && spans.at(-1)!.to > next.from) {
    const late = spans.at(-1)!;
    if (late.from < next.from) late.to = next.from;
    else spans.pop();
  }
  const last = spans.at(-1);
  const joined = last && next.from - last.to <= HOLE_MS;
  if (joined) last.to = next.from;
  if (!joined || !same(last, next)) spans.push(next);
  if (spans.length > SPANS) spans.splice(0, spans.length - SPANS);
}
