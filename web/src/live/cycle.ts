/** The newest cycle, and a short memory. The floor plan takes every cycle (`listeners`); the text reads
 *  `shown`, which changes four times a second: no reader follows more. */
import { computed, signal } from "@preact/signals";
import { connection, follow } from "../api/client";
import { CyclesDocument, type CyclesSubscription } from "../generated/operations";

export type Cycle = CyclesSubscription["cycles"];
export type Track = Cycle["tracks"][number];
export type Area = Cycle["zones"][number];
export type PresenceState = Cycle["presence"]["state"];

/** Cycles of the short memory: one minute. */
const MEMORY = 1_200;
/** Milliseconds between two updates of the text. */
const TEXT_MS = 250;
/** Without a cycle, or without a frame, for this long what is shown is old. */
const STALE_MS = 1_500;

/** The boot of the newest cycle, and when it arrived. */
let now: { bootId: string; at: number } | undefined;
let textAt = 0;
const memory: Cycle[] = [];

export const shown = signal<Cycle | undefined>(undefined);
/** Ticks the whole page's slow clock: ages, durations. */
export const clock = signal(performance.now());
/** Changes when another server process answers. */
export const boot = computed(() => shown.value?.bootId);
/** Zones and people do not leave now: what the page knows of them from before is forgotten. */
export const restricted = computed(() => shown.value?.privacyClass === "RESTRICTED");
/** The image of the room may leave now. */
export const imaged = computed(() => shown.value?.privacyClass === "RAW" || shown.value?.privacyClass === "DERIVED");
/** What the radios measure may leave now, as far as is known. */
export const measured = computed(() => (shown.value?.privacyClass ?? "RAW") === "RAW");
/** True while any cycle of late came from a generator: one in which no frame arrived says nothing about that. */
export const simulated = signal(false);
/** Cycles without a generated frame after which the input counts as real: five seconds. */
const REAL = 100;
let real = 0;
/** Cycles that arrived over the last second. */
export const rateHz = signal(0);

/** The cycles of the last minute, oldest first. */
export function recent(): readonly Cycle[] {
  return memory;
}

/** Called with each cycle as it arrives. */
export const listeners = new Set<(cycle: Cycle) => void>();

/** Why what is shown is old; nothing when it is not. */
export const stale = computed<string | undefined>(() => {
  const cycle = shown.value;
  const time = clock.value;
  if (!cycle) return connection.value === "open" ? "waiting for the first cycle" : "no connection yet";
  const silent = time - (now?.at ?? time);
  if (silent > STALE_MS) return `nothing from the server for ${(silent / 1_000).toFixed(0)} s`;
  if (cycle.ageMs == null) return "no node was heard yet";
  if (cycle.ageMs > STALE_MS) return `no node was heard for ${(cycle.ageMs / 1_000).toFixed(0)} s`;
  return undefined;
});

const arrivals: number[] = [];

export function start(): () => void {
  const stop = follow(CyclesDocument, {}, ({ cycles: cycle }) => {
    const at = performance.now();
    if (now && now.bootId !== cycle.bootId) memory.length = 0;
    now = { bootId: cycle.bootId, at };
    // The class takes back zones, counts, links and people: what is remembered of them goes, too.
    if (cycle.privacyClass === "RESTRICTED" && memory.at(-1)?.privacyClass !== "RESTRICTED") {
      memory.forEach((c, i) => (memory[i] = { ...c, zones: [], links: [], tracks: [], people: null }));
    }
    memory.push(cycle);
    for (const listener of listeners) listener(cycle);
    real = cycle.simulated ? 0 : real + 1;
    if (real === 0 || real > REAL) simulated.value = real === 0;
    if (memory.length > MEMORY) memory.splice(0, memory.length - MEMORY);
    arrivals.push(at);
    if (at - textAt >= TEXT_MS) {
      textAt = at;
      shown.value = cycle;
    }
  });
  const timer = setInterval(() => {
    const at = performance.now();
    while (arrivals.length && arrivals[0]! < at - 1_000) arrivals.shift();
    rateHz.value = arrivals.length;
    clock.value = at;
  }, 500);
  return () => {
    stop();
    clearInterval(timer);
  };
}
