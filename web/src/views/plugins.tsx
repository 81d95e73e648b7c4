/** The three exchangeable stages: what runs, what else could, and exchanging it while the cycle goes on. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, follow, Refused } from "../api/client";
import {
  AttemptsDocument,
  CancelSwapDocument,
  ConfirmSwapDocument,
  PluginsDocument,
  RollbackDocument,
  SwapDocument,
  type AttemptFragment,
  type PluginsQuery,
} from "../generated/operations";
import { boot } from "../live/cycle";
import { Chip, type Kind } from "../ui/chip";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";
import { usePoll } from "../ui/poll";
import { available, fitting, keyOf, proposed, type Candidate, type Stage } from "./candidates";

const STAGES: readonly [stage: Stage, name: string, what: string][] = [
  ["CIR", "Impulse response", "taps of every link"],
  ["TOMOGRAPHY", "Tomography", "the image of the room"],
  ["TRACKER", "Tracker", "people and their figures"],
];
const NAME = Object.fromEntries(STAGES.map(([stage, name]) => [stage, name])) as Record<Stage, string>;

const PHASE: Record<AttemptFragment["phase"], [name: string, kind: Kind]> = {
  QUEUED: ["waiting", "plain"],
  PREPARING: ["being proved", "plain"],
  SHADOWING: ["compared on live input", "plain"],
  COMPARED: ["waits for you", "warn"],
  COMMITTED: ["about to take over", "warn"],
  APPLIED: ["runs", "good"],
  REJECTED: ["refused", "bad"],
  ROLLED_BACK: ["went back", "warn"],
};

/** What an attempt goes through when all goes well. */
const STEPS = ["PREPARING", "SHADOWING", "COMPARED", "COMMITTED", "APPLIED"] as const;

export function Plugins() {
  const known = usePoll(PluginsDocument, 2_000);
  const [attempt, setAttempt] = useState<AttemptFragment>();
  const [said, setSaid] = useState("");
  // Another process knows nothing of what this one had begun. Asked anew, it tells what it is at, if anything.
  useEffect(() => {
    setAttempt(undefined);
    setSaid("");
    return follow(AttemptsDocument, {}, ({ swapProgress }) => setAttempt(swapProgress));
  }, [boot.value]);
  const busy = attempt !== undefined && !attempt.finished;
  const order = async (what: () => Promise<unknown>) => {
    try {
      await what();
      setSaid("");
    } catch (error) {
      setSaid(error instanceof Refused ? error.message : "The server did not answer.");
    }
  };
  return (
    <>
      <Head title="Plugins">
        Three stages can be exchanged while the cycle runs. A candidate is proved and compared on live input first; the log
        records the change before it counts.
      </Head>
      {said && (
        <p class="banner" role="alert">
          {said}
        </p>
      )}
      {attempt && <Progress attempt={attempt} order={order} />}
      <ul class="cards three">
        {STAGES.map(([stage, name, what]) => (
          <StageCard key={stage} stage={stage} name={name} what={what} known={known} busy={busy} order={order} />
        ))}
      </ul>
      <div class="two">
        <Panel title="Attempts of this process">
          <History swaps={known?.swaps ?? []} />
        </Panel>
        <Panel title="Manifest in force">
          {known && (
            <>
              <p class="hash">{known.manifest.hash}</p>
              <details>
                <summary>Its text, hashed into every cycle</summary>
                <pre tabIndex={0}>{known.manifest.text}</pre>
              </details>
            </>
          )}
        </Panel>
      </div>
    </>
  );
}

interface CardProps {
  stage: Stage;
  name: string;
  what: string;
  known: PluginsQuery | undefined;
  busy: boolean;
  order: (what: () => Promise<unknown>) => Promise<void>;
}

function StageCard({ stage, name, what, known, busy, order }: CardProps) {
  const [asking, setAsking] = useState(false);
  const running = known?.plugins.find((p) => p.stage.toUpperCase() === stage && p.state === "ACTIVE");
  const failed = known?.plugins.filter((p) => p.stage.toUpperCase() === stage && p.state === "FAILED") ?? [];
  const before = known?.swaps.some((s) => s.stage === stage && s.phase === "APPLIED");
  return (
    <li class="panel card">
      <div class="title">
        <h2>{name}</h2>
        {running ? (
          <Chip kind="good">runs</Chip>
        ) : known ? (
          <Chip kind="bad">nothing runs</Chip>
        ) : (
          <Chip kind="plain">asking…</Chip>
        )}
      </div>
      <p class="big small">{running ? `${running.name} ${running.version}` : "–"}</p>
      <p class="reason">{running?.method || what}</p>
      <dl class="facts">
        <dt>Where from</dt>
        <dd>{running?.blake3 ? <span class="hash">{running.blake3.slice(0, 16)}…</span> : running ? "built into the program" : "–"}</dd>
        <dt>Proved by</dt>
        <dd>{running ? <span class="hash">{running.golden.slice(0, 16)}…</span> : "–"}</dd>
        {running?.reason && (
          <>
            <dt>Here because</dt>
            <dd>{running.reason}</dd>
          </>
        )}
        {failed.map((f) => (
          <>
            <dt>Failed</dt>
            <dd>
              {f.name}: {f.reason}
            </dd>
          </>
        ))}
      </dl>
      <div class="actions">
        <button disabled={busy || !known} onClick={() => setAsking(true)}>
          Exchange…<span class="unseen"> the plugin for {name}</span>
        </button>
        {before && (
          <button class="quiet" disabled={busy} onClick={() => order(() => ask(RollbackDocument, { stage }))}>
            Go back<span class="unseen"> to the plugin before, for {name}</span>
          </button>
        )}
      </div>
      {asking && known && (
        <Ask
          stage={stage}
          name={name}
          running={running?.name}
          candidates={known.pluginCandidates}
          close={() => setAsking(false)}
          swap={(candidate, shadowCycles) =>
            order(() =>
              ask(SwapDocument, { stage, plugin: candidate.plugin, blake3: candidate.blake3, shadowCycles }),
            )
          }
        />
      )}
    </li>
  );
}

interface AskProps {
  stage: Stage;
  name: string;
  running: string | undefined;
  candidates: readonly Candidate[];
  close: () => void;
  swap: (candidate: Candidate, shadowCycles: number) => Promise<void>;
}

function Ask({ stage, name, running, candidates, close, swap }: AskProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const options = fitting(stage, candidates);
  const [key, setKey] = useState(() => proposed(options, running));
  const chosen = available(options, key);
  const [seconds, setSeconds] = useState(5);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby={`ask-${stage}`}>
      <form
        method="dialog"
        onSubmit={() => {
          if (chosen) void swap(chosen, Math.round(seconds * 20));
        }}
      >
        <h2 id={`ask-${stage}`}>Exchange the plugin for {name.toLowerCase()}</h2>
        <fieldset class="options">
          <legend>Candidate</legend>
          {options.map((c) => (
            <label key={keyOf(c)} class={c.refused ? "refused" : undefined}>
              <input
                type="radio"
                name={`candidate-${stage}`}
                checked={c === chosen}
                disabled={!!c.refused}
                onChange={() => setKey(keyOf(c))}
              />
              <span>
                <strong>{c.plugin}</strong>
                {c.plugin === running && " (runs now)"}
                <small>
                  {c.refused ??
                    (c.file
                      ? `${c.file}, ${((c.size ?? 0) / 1e6).toFixed(1)} MB, ${c.cpu === "baseline" ? "every CPU" : c.cpu}`
                      : "built into the program")}
                </small>
              </span>
            </label>
          ))}
        </fieldset>
        <label class="field">
          Compare on live input for
          <select value={seconds} onChange={(e) => setSeconds(Number(e.currentTarget.value))}>
            {[2, 5, 15, 60].map((s) => (
              <option key={s} value={s}>
                {s} seconds
              </option>
            ))}
          </select>
        </label>
        <p class="note">
          A plugin is code in the server's process. This one is checked, proved by its golden vectors, compared, and named in a
          durable SWAP leaf before it takes over; no cycle is missed. You see the comparison and decide.
        </p>
        <div class="actions">
          <button disabled={!chosen}>Prove and compare</button>
          <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  );
}

function Progress({ attempt, order }: { attempt: AttemptFragment; order: CardProps["order"] }) {
  const [name, kind] = PHASE[attempt.phase];
  const at = STEPS.indexOf(attempt.phase as (typeof STEPS)[number]);
  return (
    <Panel
      title={`${attempt.kind === "SWAP" ? "Exchange" : attempt.kind === "ROLLBACK" ? "Way back" : "Recovery"} of ${NAME[attempt.stage].toLowerCase()}: ${attempt.plugin}`}
      class="attempt"
      aside={
        <span role="status">
          <Chip kind={kind}>{name}</Chip>
        </span>
      }
    >
      {at >= 0 && (
        <ol class="steps" aria-label="Steps">
          {STEPS.map((step, i) => (
            <li key={step} class={i < at || attempt.phase === "APPLIED" ? "done" : i === at ? "now" : undefined} aria-current={i === at ? "step" : undefined}>
              {["Prove", "Compare", "Decide", "Record", "Run"][i]}
            </li>
          ))}
        </ol>
      )}
      <p>{attempt.message}</p>
      {attempt.shadow && <Shadow attempt={attempt} shadow={attempt.shadow} />}
      {attempt.phase === "COMPARED" && (
        <div class="actions">
          <button onClick={() => order(() => ask(ConfirmSwapDocument, { id: attempt.id }))}>Let it take over</button>
          <button class="quiet" onClick={() => order(() => ask(CancelSwapDocument, { id: attempt.id }))}>
            Keep what runs
          </button>
        </div>
      )}
      <dl class="facts wide">
        {attempt.vectorsRun > 0 && (
          <>
            <dt>Golden vectors</dt>
            <dd>
              {attempt.vectorsPassed} of {attempt.vectorsRun} gave the same bits, twice
            </dd>
          </>
        )}
        {attempt.effectiveTick != null && (
          <>
            <dt>Takes over at tick</dt>
            <dd>{attempt.effectiveTick}</dd>
          </>
        )}
        {attempt.leaf != null && (
          <>
            <dt>Leaf in the log</dt>
            <dd>{attempt.leaf}</dd>
          </>
        )}
        {attempt.reason && (
          <>
            <dt>Reason</dt>
            <dd>{attempt.reason}</dd>
          </>
        )}
        {attempt.changes.length > 0 && (
          <>
            <dt>Manifest</dt>
            <dd>
              {attempt.changes.map((c) => (
                <div key={c} class="hash">
                  {c}
                </div>
              ))}
            </dd>
          </>
        )}
        {attempt.state.length > 0 && (
          <>
            <dt>State</dt>
            <dd>{attempt.state.map((s) => `${NAME[s.stage].toLowerCase()} ${s.state.toLowerCase()}`).join(", ")}</dd>
          </>
        )}
      </dl>
    </Panel>
  );
}

function Shadow({ attempt, shadow }: { attempt: AttemptFragment; shadow: NonNullable<AttemptFragment["shadow"]> }) {
  const compared = shadow.stages.filter((s) => s.shadowRan > 0 || s.stage === attempt.stage);
  return (
    <div class="shadow">
      <progress value={shadow.done} max={shadow.wanted} aria-label="Cycles compared" />
      <div class="scroll" tabIndex={0} role="region" aria-label="Comparison, table">
        <table>
          <thead>
            <tr>
              <th scope="col">Stage</th>
              <th scope="col" class="number">
                Same bits
              </th>
              <th scope="col" class="number">
                Largest difference
              </th>
              <th scope="col" class="number">
                Time now
              </th>
              <th scope="col" class="number">
                Candidate
              </th>
              <th scope="col" class="number">
                Its slowest
              </th>
            </tr>
          </thead>
          <tbody>
            {compared.map((s) => (
              <tr key={s.stage}>
                <th scope="row">{NAME[s.stage]}</th>
                <td class="number">{s.values ? `${((100 * s.equalValues) / s.values).toFixed(1)} %` : "–"}</td>
                <td class="number">{s.values ? s.maxDifference.toPrecision(2).replace(/^0\.0$/, "0") : "–"}</td>
                <td class="number">{us(s.oldMeanUs)}</td>
                <td class="number">{us(s.newMeanUs)}</td>
                <td class="number">{us(s.newMaxUs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

const us = (x: number) => (x >= 1_000 ? `${(x / 1_000).toFixed(1)}\u202fms` : `${x.toFixed(0)}\u202fµs`);

function History({ swaps }: { swaps: readonly AttemptFragment[] }) {
  if (!swaps.length) return <p class="none">Nothing was exchanged since the server started.</p>;
  return (
    <ol class="history">
      {[...swaps].reverse().map((s) => (
        <li key={s.id}>
          <Chip kind={PHASE[s.phase][1]}>{PHASE[s.phase][0]}</Chip>
          <div>
            <strong>{s.plugin}</strong> for {NAME[s.stage].toLowerCase()}
            <small>{s.message}</small>
          </div>
        </li>
      ))}
    </ol>
  );
}
