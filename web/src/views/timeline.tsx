/** Occupancy over time, live; with zoom by wheel, fingers, keys and buttons. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, shown } from "../live/cycle";
import type { Lane } from "../live/diary";
import { bars, barred, level, refused, want } from "../live/history";
import { counts, fill, filled, lanes, newest } from "../live/past";
import { holes, within, type Stretch } from "../live/spans";
import { duration, PRESENCE } from "../live/words";
import { drawLanes, height } from "../plan/lanes";
import { Canvas } from "../ui/canvas";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";
import { held, touch, type Grip } from "./fingers";

/** Pages of past cycles that are asked for: five minutes here, a minute beside the room. */
const [PAGES, FEW] = [12, 3];

/** Milliseconds that are shown, and where they end; without an end: now. */
const span = signal(60_000);
const end = signal<number | undefined>(undefined);

const SPANS: readonly [name: string, ms: number][] = [
  ["1 min", 60_000],
  ["5 min", 300_000],
  ["1 h", 3_600_000],
  ["1 day", 86_400_000],
  ["1 week", 604_800_000],
  ["1 year", 31_536_000_000],
];
const [LEAST, MOST] = [5_000, 31_536_000_000];

/** The small chart shows single cycles only. */
const NOTHING: typeof bars = new Map();

function now(): number {
  return newest.tMs + Math.min(performance.now() - newest.at, 1_000);
}

/** The time that is shown. */
function view(): Stretch {
  const to = end.value ?? now();
  return { from: to - span.value, to };
}

function lastMinute(): Stretch {
  const to = now();
  return { from: to - 60_000, to };
}

/** Whether single cycles say nothing of some of it: only then sums are needed. */
function open({ from, to }: Stretch): boolean {
  const past = { from, to: Math.min(to, newest.tMs) };
  return lanes.some((lane) => holes(lane.spans, past).length > 0);
}

/** Asks for the sums of what is shown, where they are needed. */
function look(): void {
  const window = view();
  if (open(window)) void want(window.from, window.to, order(lanes).map((lane) => lane.key));
}

export function Timeline() {
  const cycle = shown.value;
  useEffect(() => void fill(PAGES), [cycle?.bootId]);
  return (
    <>
      <Head title="Timeline">
        When somebody was where. What is not known is hatched; what was not recorded is left out. Where the page has not every cycle,
        as further back than the last minutes, a lane shows, window by window, the share of time in each state.
      </Head>
      <Panel title="Occupancy" aside={<Spans />}>
        <Chart tall />
        <Key />
        <Resolution />
      </Panel>
      <Panel title="In the time shown">
        <Totals />
      </Panel>
    </>
  );
}

function Resolution() {
  void barred.value;
  void clock.value;
  if (refused.value) {
    return (
      <p class="failure" role="alert">
        Not all of the past can be shown: {refused.value}
      </p>
    );
  }
  if (!open(view())) return <p class="hint">Every cycle of this time is shown.</p>;
  return <p class="hint">{level.value ? `Where not every cycle is known here: one bar a ${level.value}.` : "Asking for the past…"}</p>;
}

function Spans() {
  return (
    <div class="choice" role="group" aria-label="Time shown">
      {SPANS.map(([name, ms]) => (
        <button key={name} aria-pressed={span.value === ms} onClick={() => ((span.value = ms), (end.value = undefined))}>
          {name}
        </button>
      ))}
      <button aria-pressed={end.value === undefined} onClick={() => (end.value = undefined)}>
        Now
      </button>
    </div>
  );
}

function zoom(factor: number, about = 1): void {
  const to = end.peek() ?? now();
  const wide = Math.min(MOST, Math.max(LEAST, span.peek() * factor));
  const fixed = to - span.peek() * (1 - about);
  span.value = wide;
  // What ends now goes on ending now.
  if (end.peek() !== undefined || about < 0.98) move(fixed + wide * (1 - about));
}

function move(to: number): void {
  end.value = to >= now() - 500 ? undefined : to;
}

export function Chart({ tall }: { tall?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const grip = useRef<Grip | undefined>(undefined);
  const [tick, setTick] = useState(0);
  // The small one is drawn anew together with the text around it: one frame for both.
  void (!tall && shown.value);
  useEffect(() => void (!tall && fill(FEW)), [shown.value?.bootId]);
  useEffect(() => {
    // Ten times a second is smooth enough for what moves a few pixels a second. What ends in the past does not move.
    const timer = tall && setInterval(() => !document.hidden && end.peek() === undefined && setTick((t) => t + 1), 100);
    const asking = tall && setInterval(() => !document.hidden && look(), 500);
    const wheel = (e: WheelEvent) => {
      if (!tall || (!e.ctrlKey && Math.abs(e.deltaY) < Math.abs(e.deltaX))) return;
      e.preventDefault();
      const { left, width } = box.current!.getBoundingClientRect();
      zoom(Math.exp(e.deltaY / 400), Math.min(1, (e.clientX - left) / width));
    };
    box.current?.addEventListener("wheel", wheel, { passive: false });
    return () => {
      if (timer) clearInterval(timer);
      if (asking) clearInterval(asking);
      box.current?.removeEventListener("wheel", wheel);
    };
  }, []);
  const window = tall ? view() : lastMinute();
  const shownSpan = window.to - window.from;
  const sorted = order(lanes);
  useEffect(() => void (tall && look()), [span.value, end.value, sorted.length]);
  const key = (e: KeyboardEvent) => {
    // With these held the keys are the browser's: Alt and an arrow goes back.
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const at = end.peek() ?? now();
    const step = span.peek() / 8;
    const acts: Record<string, () => void> = {
      ArrowLeft: () => move(at - step),
      ArrowRight: () => move(at + step),
      "+": () => zoom(0.7),
      "-": () => zoom(1 / 0.7),
      End: () => (end.value = undefined),
    };
    const act = acts[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  };
  const at = (e: PointerEvent) => {
    const { left, top } = box.current!.getBoundingClientRect();
    return { x: e.clientX - left, y: e.clientY - top };
  };
  // A finger that comes or goes begins anew from what is shown then.
  const hold = () => {
    const { size } = fingers.current;
    grip.current = size ? { ...touch(fingers.current.values()), span: span.peek(), to: end.peek() ?? now() } : undefined;
  };
  const release = (e: PointerEvent) => {
    fingers.current.delete(e.pointerId);
    hold();
  };
  const chart = (
    <Canvas
      of={[tick, shownSpan, window.to, filled.value, barred.value, sorted.length]}
      height={height(sorted, !!tall)}
      label={`Occupancy of ${sorted.length} areas over ${duration(shownSpan / 1_000)}. ${tall ? "The table below" : "The view Timeline"} says the same in numbers.`}
      draw={(brush) => drawLanes(brush, sorted, counts, tall ? bars : NOTHING, window, !!tall)}
    />
  );
  if (!tall) return <div ref={box}>{chart}</div>;
  return (
    <div
      ref={box}
      class="pan"
      tabIndex={0}
      role="application"
      aria-label="Occupancy over time. Arrow keys move, plus and minus zoom, End goes to now."
      onKeyDown={key}
      onPointerDown={(e) => {
        box.current?.setPointerCapture(e.pointerId);
        fingers.current.set(e.pointerId, at(e));
        hold();
      }}
      onPointerMove={(e) => {
        if (!grip.current || !fingers.current.has(e.pointerId)) return;
        fingers.current.set(e.pointerId, at(e));
        const to = held(grip.current, touch(fingers.current.values()), Math.max(1, box.current!.clientWidth), [LEAST, MOST]);
        span.value = to.span;
        move(to.to);
      }}
      onPointerUp={release}
      onPointerCancel={release}
    >
      {chart}
    </div>
  );
}

/** The site, then each room with what lies in it. */
function order(all: readonly Lane[]): Lane[] {
  return [...all].sort((a, b) => a.depth - b.depth);
}

export function Key() {
  return (
    <ul class="legend">
      {(["OCCUPIED_MOVING", "OCCUPIED_STILL", "EMPTY", "UNKNOWN"] as const).map((state) => (
        <li key={state}>
          <span class={`swatch ${state.toLowerCase()}`} aria-hidden="true" />
          {PRESENCE[state].toLowerCase()}
        </li>
      ))}
    </ul>
  );
}

function Totals() {
  // Follows the slow clock, not each cycle.
  void clock.value;
  void barred.value;
  void filled.value;
  const window = view();
  const { from, to } = window;
  const states = ["OCCUPIED_MOVING", "OCCUPIED_STILL", "EMPTY", "UNKNOWN"] as const;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Time in each state, table">
      <table>
        <thead>
          <tr>
            <th scope="col">Area</th>
            {states.map((s) => (
              <th scope="col" class="number" key={s}>
                {PRESENCE[s]}
              </th>
            ))}
            <th scope="col" class="number">
              Not recorded
            </th>
          </tr>
        </thead>
        <tbody>
          {order(lanes).map((lane) => {
            const sums = { OCCUPIED_MOVING: 0, OCCUPIED_STILL: 0, EMPTY: 0, UNKNOWN: 0 };
            for (const s of lane.spans) sums[s.state] += Math.max(0, Math.min(s.to, to) - Math.max(s.from, from));
            // Of what is shown, the part of which no single cycles are known.
            const open = holes(lane.spans, window);
            for (const bar of bars.get(lane.key) ?? []) {
              const inside = within(bar, open).reduce((sum, part) => sum + part.to - part.from, 0) / (bar.to - bar.from);
              for (const s of states) sums[s] += 1_000 * bar.spent[s] * inside;
            }
            const known = states.reduce((sum, s) => sum + sums[s], 0);
            return (
              <tr key={lane.key}>
                <th scope="row">{lane.name}</th>
                {states.map((s) => (
                  <td class="number" key={s}>
                    {duration(sums[s] / 1_000)}
                  </td>
                ))}
                <td class="number">{duration(Math.max(0, to - from - known) / 1_000)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
