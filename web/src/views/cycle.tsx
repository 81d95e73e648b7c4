/** One cycle of 50 ms: what each stage takes of its budget, and whether the whole keeps its time. */
import { clock, rateHz, recent, type Cycle as CycleData } from "../live/cycle";
import { Canvas, type Brush } from "../ui/canvas";
import { Chip } from "../ui/chip";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";

type Disposition = NonNullable<CycleData["stages"]>[number]["disposition"];

/** Milliseconds a cycle may take. */
const BUDGET_MS = 50;

const STAGE: Record<string, [name: string, what: string]> = {
  ingest: ["Ingest", "parse frames, normalise hardware"],
  calibration: ["Calibration", "compare with the empty room"],
  phase_align: ["Phase alignment", "take out clock offsets"],
  fusion: ["Fusion", "join bursts and antennas"],
  cir: ["Impulse response", "plugin: taps of every link"],
  coherence: ["Coherence and presence", "motion, presence, gate"],
  tomography: ["Tomography", "plugin: image of the room"],
  tracker: ["Tracker", "plugin: people and figures"],
  witness: ["Quality and witness", "privacy, world graph, leaf"],
  publish: ["Publish", "to subscribers and store"],
};

const SAID: Record<Disposition, string> = {
  RAN: "ran",
  SKIPPED: "skipped",
  ERROR: "error",
  PANIC: "panicked",
  NON_FINITE: "not finite",
  FP_ENV: "changed float mode",
  TIMEOUT: "too late",
};

interface Sum {
  stage: string;
  budgetMs: number;
  p50: number;
  p95: number;
  max: number;
  disposition: Disposition;
}

function sums(cycles: readonly CycleData[]): Sum[] {
  const newest = cycles.at(-1)?.stages;
  if (!newest) return [];
  return newest.map(({ stage, budgetUs, disposition }, i) => {
    const took = cycles.flatMap((c) => (c.stages?.[i] ? [c.stages[i].tookUs / 1_000] : [])).sort((a, b) => a - b);
    const at = (share: number) => took[Math.min(took.length - 1, Math.floor(share * took.length))] ?? 0;
    return { stage, budgetMs: budgetUs / 1_000, p50: at(0.5), p95: at(0.95), max: took.at(-1) ?? 0, disposition };
  });
}

const total = (c: CycleData) => (c.stages ?? []).reduce((sum, s) => sum + s.tookUs / 1_000, 0);
const ms = (x: number) => `${x < 10 ? x.toFixed(2) : x.toFixed(0)}\u202fms`;

export function Cycle() {
  const time = clock.value;
  const cycles = recent();
  const all = sums(cycles);
  const totals = cycles.map(total).sort((a, b) => a - b);
  const at = (share: number) => totals[Math.min(totals.length - 1, Math.floor(share * totals.length))] ?? 0;
  const late = totals.filter((t) => t > BUDGET_MS).length;
  return (
    <>
      <Head title="Cycle">Ten stages, twenty times a second. Each has a budget; together they have {BUDGET_MS} ms.</Head>
      <ul class="numbers">
        <Figure value={ms(at(0.5))} name="median of the last minute" />
        <Figure value={ms(at(0.99))} name="of a hundred, ninety-nine are faster" />
        <Figure value={`${late}`} name={`of ${totals.length} cycles above ${BUDGET_MS} ms`} bad={late > 0} />
        <Figure value={`${rateHz.value}\u202fHz`} name="cycles arrive here" />
      </ul>
      <Panel title="The last minute">
        <Canvas
          of={[time]}
          height={190}
          label={`Time of each cycle over the last minute: median ${ms(at(0.5))}, budget ${BUDGET_MS} ms.`}
          draw={(brush) => draw(brush, cycles)}
        />
      </Panel>
      <Panel title="Stages, over the last minute">
        <div class="scroll" tabIndex={0} role="region" aria-label="Stages, live table">
          <table class="stages">
            <thead>
              <tr>
                <th scope="col">Stage</th>
                <th scope="col" class="share">
                  Of its budget
                </th>
                <th scope="col" class="number">
                  Median
                </th>
                <th scope="col" class="number">
                  95 %
                </th>
                <th scope="col" class="number">
                  Slowest
                </th>
                <th scope="col" class="number">
                  Budget
                </th>
                <th scope="col">Now</th>
              </tr>
            </thead>
            <tbody>
              {all.map((s) => (
                <tr key={s.stage}>
                  <th scope="row">
                    {STAGE[s.stage]?.[0] ?? s.stage}
                    <small>{STAGE[s.stage]?.[1]}</small>
                  </th>
                  <td class="share">
                    <Share of={s} />
                  </td>
                  <td class="number">{ms(s.p50)}</td>
                  <td class="number">{ms(s.p95)}</td>
                  <td class={`number ${s.max > s.budgetMs ? "over" : ""}`}>{ms(s.max)}</td>
                  <td class="number">{s.budgetMs.toFixed(0)}&#8239;ms</td>
                  <td>
                    <Chip kind={s.disposition === "RAN" ? "good" : s.disposition === "SKIPPED" ? "plain" : "bad"}>
                      {SAID[s.disposition]}
                    </Chip>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
    </>
  );
}

export function Figure({ value, name, bad }: { value: string; name: string; bad?: boolean }) {
  return (
    <li class={bad ? "bad" : undefined}>
      <strong>{value}</strong>
      <span>{name}</span>
    </li>
  );
}

/** Median filled, 95 of 100 pale, the slowest a mark; the end of the bar is the budget. */
function Share({ of }: { of: Sum }) {
  const share = (x: number) => `${Math.min(100, (100 * x) / of.budgetMs)}%`;
  return (
    <span class="budget" aria-hidden="true">
      <span class="pale" style={{ width: share(of.p95) }} />
      <span class="full" style={{ width: share(of.p50) }} />
      <span class={`mark ${of.max > of.budgetMs ? "over" : ""}`} style={{ left: share(of.max) }} />
    </span>
  );
}

function draw({ c, width, height, palette: p }: Brush, cycles: readonly CycleData[]): void {
  const [left, bottom] = [52, height - 20];
  // Square root: what is far below the budget can still be read.
  const y = (t: number) => bottom - (bottom - 14) * Math.min(1.08, Math.sqrt(t / BUDGET_MS));
  c.font = `400 11.5px ${p.font}`;
  c.textAlign = "right";
  c.textBaseline = "middle";
  for (const t of [1, 5, 20, 50]) {
    const at = Math.round(y(t)) + 0.5;
    c.strokeStyle = t === BUDGET_MS ? p.bad : p.line;
    c.setLineDash(t === BUDGET_MS ? [5, 4] : []);
    c.beginPath();
    c.moveTo(left, at);
    c.lineTo(width, at);
    c.stroke();
    c.fillStyle = t === BUDGET_MS ? p.bad : p.quiet;
    c.fillText(`${t} ms`, left - 8, at);
  }
  c.setLineDash([]);
  c.textAlign = "left";
  c.fillStyle = p.quiet;
  c.fillText("−60 s", left, height - 7);
  c.textAlign = "right";
  c.fillText("now", width, height - 7);
  const last = cycles.at(-1);
  if (!last) return;
  const wide = Math.max(1, ((width - left) / 1_200) * 0.8);
  for (const cycle of cycles) {
    const x = width - ((last.tick - cycle.tick) / 1_200) * (width - left);
    if (x < left) continue;
    const t = total(cycle);
    c.fillStyle = t > BUDGET_MS ? p.bad : p.accent;
    c.fillRect(x - wide, y(t), wide, bottom - y(t));
  }
}
