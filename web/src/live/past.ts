/** Occupancy over time, from single cycles: what arrived since the page was opened, and in front of it what the server still
 *  knows. What lies in holes is told by sums (`history.ts`). */
import { effect, signal } from "@preact/signals";
import { ask } from "../api/client";
import { PastDocument } from "../generated/operations";
import { listeners, type Cycle } from "./cycle";
import { Diary, keysOf } from "./diary";
import { site } from "./site";

/** Cycles of a page: 25 s. */
const PAGE = 500;

const diary = new Diary();
export const { lanes, counts } = diary;
/** Time of the newest cycle, by the server's clock, and when it was heard here. */
export const newest = { tMs: 0, at: 0 };
/** Changes when something was put in front, or taken away. */
export const filled = signal(0);

/** Where the next page ends; null when the server has no more. */
let before: string | null | undefined;
/** Pages that came, and that somebody wants. */
let pages = 0;
let wantedPages = 0;
/** Changes when something is forgotten: an answer to an older question may hold what was. */
let generation = 0;
let filling: Promise<void> = Promise.resolve();

export function start(): () => void {
  let restricted: boolean | undefined;
  const take = (cycle: Cycle) => {
    const now = cycle.privacyClass === "RESTRICTED";
    const changed = restricted !== undefined && restricted !== now;
    restricted = now;
    newest.tMs = cycle.tMs;
    newest.at = performance.now();
    if (changed && now) restrict();
    diary.take(cycle);
    if (changed && !now) refill();
  };
  listeners.add(take);
  let process: string | undefined;
  const end = effect(() => {
    const known = site.value;
    if (!known || known.server.bootId === process) return;
    process = known.server.bootId;
    // Another process may have another configuration.
    diary.keep(keysOf(known));
    filled.value = filled.peek() + 1;
  });
  return () => {
    listeners.delete(take);
    end();
  };
}

/** The class takes zones and counts back. */
function restrict(): void {
  generation++;
  diary.restrict();
  filled.value++;
  void fill(wantedPages);
}

/** The class lets zones and counts out again: what they were is asked for once more. */
function refill(): void {
  generation++;
  before = undefined;
  pages = 0;
  void fill(wantedPages);
}

/** Puts what the server still has in front, until so many pages of cycles were asked for. */
export function fill(upTo: number): Promise<void> {
  wantedPages = Math.max(wantedPages, upTo);
  filling = filling.then(async () => {
    const mine = generation;
    while (pages < wantedPages && before !== null && lanes.length) {
      const answer = await ask(PastDocument, { last: PAGE, before }).catch(() => undefined);
      if (!answer || mine !== generation) return;
      pages++;
      const { nodes, pageInfo } = answer.cycles;
      before = pageInfo.hasPreviousPage ? (pageInfo.startCursor ?? null) : null;
      diary.front(nodes);
      filled.value++;
    }
  });
  return filling;
}
