/** Occupancy over time, live; with zoom by wheel, keys and buttons. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, shown } from "../live/cycle";
import { bars, barred, level, refused, want } from "../live/history";
import { counts, fill, filled, lanes, newest, since, type Lane } from "../live/past";
import { duration, PRESENCE } from "../live/words";
import { drawLanes, height } from "../plan/lanes";
import { Canvas } from "../ui/canvas";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";

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
const NOTHING = { bars: new Map(), to: 0 };

function now(): number {
  return newest.tMs + Math.min(performance.now() - newest.at, 1_000);
}

export function Timeline() {
  const cycle = shown.value;
  useEffect(() => void fill(PAGES), [cycle?.bootId]);
  return (
    <>
      <Head title="Timeline">
        When somebody was where. What is not known is hatched; what was not recorded is left out. Further back than the last minutes
        a lane shows, window by window, the share of time in each state.
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
  if (refused.value) {
    return (
      <p class="failure" role="alert">
        The past cannot be shown: {refused.value}
      </p>
    );
  }
  return <p class="hint">{level.value ? `Before the last minutes: one bar a ${level.value}.` : "Asking for the past…"}</p>;
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
  const drag = useRef<{ x: number; to: number } | undefined>(undefined);
  const [tick, setTick] = useState(0);
  // The small one is drawn anew together with the text around it: one frame for both.
  void (!tall && shown.value);
  useEffect(() => void (!tall && fill(FEW)), [shown.value?.bootId]);
  useEffect(() => {
    // Ten times a second is smooth enough for what moves a few pixels a second.
    const timer = tall && setInterval(() => !document.hidden && setTick((t) => t + 1), 100);
    const wheel = (e: WheelEvent) => {
      if (!tall || (!e.ctrlKey && Math.abs(e.deltaY) < Math.abs(e.deltaX))) return;
      e.preventDefault();
      const { left, width } = box.current!.getBoundingClientRect();
      zoom(Math.exp(e.deltaY / 400), Math.min(1, (e.clientX - left) / width));
    };
    box.current?.addEventListener("wheel", wheel, { passive: false });
    return () => {
      if (timer) clearInterval(timer);
      box.current?.removeEventListener("wheel", wheel);
    };
  }, []);
  const shownSpan = tall ? span.value : 60_000;
  const to = (tall ? end.value : undefined) ?? now();
  const window = { from: to - shownSpan, to };
  const sorted = order(lanes);
  const known = since();
  useEffect(() => {
    if (tall && Number.isFinite(known)) void want(window.from, window.to, sorted.map((lane) => lane.key));
  }, [tick]);
  const key = (e: KeyboardEvent) => {
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
  const chart = (
    <Canvas
      of={[tick, shownSpan, to, filled.value, barred.value, sorted.length]}
      height={height(sorted, !!tall)}
      label={`Occupancy of ${sorted.length} areas over ${duration(shownSpan / 1_000)}. The table below says the same in numbers.`}
      draw={(brush) => drawLanes(brush, sorted, counts, tall ? { bars, to: known } : NOTHING, window, !!tall)}
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
        drag.current = { x: e.clientX, to: end.peek() ?? now() };
        box.current?.setPointerCapture(e.pointerId);
      }}
      onPointerMove={(e) => {
        if (!drag.current) return;
        const perPixel = span.peek() / Math.max(1, box.current!.clientWidth);
        move(drag.current.to - (e.clientX - drag.current.x) * perPixel);
      }}
      onPointerUp={() => (drag.current = undefined)}
      onPointerCancel={() => (drag.current = undefined)}
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
  const to = end.value ?? now();
  const from = to - span.value;
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
            for (const bar of bars.get(lane.key) ?? []) {
              // The part of the window that is shown and of which no single cycles are known.
              const inside = Math.max(0, Math.min(bar.to, to, since()) - Math.max(bar.from, from)) / (bar.to - bar.from);
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
