/** The witness log: its head, a bundle to take away and how anybody checks it, a leaf in full. */
import { useEffect, useState } from "preact/hooks";
import { ask, authorization, follow } from "../api/client";
import { CheckpointsDocument, LeafDocument, ProofDocument, type LeafQuery } from "../generated/operations";
import { clock, shown } from "../live/cycle";
import type { Site } from "../live/site";
import { Chip } from "../ui/chip";
import { Copy } from "../ui/copy";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";
import { usePoll } from "../ui/poll";

/** Leaves a bundle may have. */
const MOST = 72_000;

interface Seen {
  size: number;
  note: string;
  at: number;
}

export function Witness({ site }: { site: Site }) {
  const [head, setHead] = useState<Seen>();
  const proof = usePoll(ProofDocument, 5_000);
  useEffect(
    () => follow(CheckpointsDocument, {}, ({ witness }) => setHead({ ...witness, at: performance.now() })),
    [],
  );
  // Before the first one is published while we look: the one the server has.
  const checkpoint = head ?? (proof?.checkpoint ? { ...proof.checkpoint, at: undefined } : undefined);
  return (
    <>
      <Head title="Witness">
        Every cycle ends in one leaf of a signed log. A bundle proves a part of it to somebody who trusts nothing but the log's
        key.
      </Head>
      <div class="two even">
        <div class="stack">
          <Panel title="Head of the log" aside={checkpoint && <Chip kind="good">signed</Chip>}>
            {checkpoint ? <HeadOf checkpoint={checkpoint} site={site} /> : <p class="none">No checkpoint yet.</p>}
          </Panel>
          <Panel title="Bound into every cycle">
            <dl class="facts">
              <dt>Manifest</dt>
              <dd class="hash">{proof?.manifest.hash ?? "–"}</dd>
              <dt>Configuration</dt>
              <dd class="hash">{proof?.config.hash ?? "–"}</dd>
              <dt>Newest leaf</dt>
              <dd class="hash">{shown.value?.witness ?? "–"}</dd>
            </dl>
            <p class="hint">
              The witness proves how data was processed, not that it is true: a forged node gets a perfect witness.
            </p>
          </Panel>
        </div>
        <div class="stack">
          <Panel title="Take a bundle">
            {checkpoint ? <Bundle size={checkpoint.size} site={site} /> : <p class="none">Nothing is signed yet.</p>}
          </Panel>
          <Panel title="One leaf">
            <Leaf newest={checkpoint ? checkpoint.size - 1 : undefined} />
          </Panel>
        </div>
      </div>
    </>
  );
}

function HeadOf({ checkpoint, site }: { checkpoint: { size: number; note: string; at: number | undefined }; site: Site }) {
  const [origin, , root] = checkpoint.note.split("\n");
  const age = checkpoint.at === undefined ? undefined : Math.max(0, (clock.value - checkpoint.at) / 1_000);
  return (
    <>
      <p class="big">{checkpoint.size.toLocaleString("en")} leaves</p>
      <dl class="facts">
        <dt>Signed</dt>
        <dd>{age === undefined ? "before this page looked" : age < 1.5 ? "just now" : `${age.toFixed(0)} s ago`}</dd>
        <dt>Log</dt>
        <dd class="hash">{origin}</dd>
        <dt>Root</dt>
        <dd class="hash">{root}</dd>
        <dt>Key</dt>
        <dd class="hash">{site.server.logKey}</dd>
      </dl>
      <details>
        <summary>The note, verbatim</summary>
        <pre tabIndex={0}>{checkpoint.note}</pre>
      </details>
    </>
  );
}

function Bundle({ size, site }: { size: number; site: Site }) {
  const [seconds, setSeconds] = useState(60);
  const [inputs, setInputs] = useState(false);
  const [state, setState] = useState<{ said: string; bad?: boolean; file?: string }>();
  const [busy, setBusy] = useState(false);
  const [bytes, setBytes] = useState(0);
  const from = Math.max(0, size - Math.min(MOST, seconds * 20));
  const take = async () => {
    setBusy(true);
    setBytes(0);
    setState({ said: "Downloading…" });
    try {
      const path = `/v1/witness/bundles?from=${from}&to=${size}&checkpoint=${size}${inputs ? "&inputs=1" : ""}`;
      const file = `tapline-${site.site.id}-${from}-${size}.bundle`;
      setState(await download(path, file, setBytes));
    } catch (error) {
      setState({ said: error instanceof Error ? error.message : "It broke off.", bad: true });
    } finally {
      setBusy(false);
    }
  };
  const file = state?.file ?? "FILE";
  const commands = `tapline bundle policy --data-dir DATA > policy.txt\ntapline verify ${file} --policy policy.txt`;
  return (
    <>
      <div class="form">
        <label class="field">
          The last
          <select value={seconds} onChange={(e) => setSeconds(Number(e.currentTarget.value))}>
            <option value={10}>10 seconds</option>
            <option value={60}>minute</option>
            <option value={600}>10 minutes</option>
            <option value={3_600}>hour</option>
          </select>
        </label>
        <label class="check">
          <input type="checkbox" checked={inputs} onChange={(e) => setInputs(e.currentTarget.checked)} />
          With raw input (recorded in the log; classes Raw and Derived only)
        </label>
      </div>
      <button onClick={take} disabled={busy}>
        Download {(size - from).toLocaleString("en")} leaves
      </button>
      <p role="status" class={state?.bad ? "failure" : "hint"}>
        {state?.said ?? ""}
      </p>
      {busy && bytes > 0 && <p class="hint">{(bytes / 1e6).toFixed(1)} MB so far…</p>}
      <h3>How anybody checks it</h3>
      <pre tabIndex={0}>{commands}</pre>
      <p class="hint">
        The policy names the key to trust; hand it over by another way than the bundle. <code>tools/verify.py</code> is a second
        verifier that shares no code with the first.
      </p>
      <Copy text={commands} what="commands" />
    </>
  );
}

/** Gets the whole file, so that a refusal is shown here and not saved as a file. */
async function download(path: string, file: string, progress: (bytes: number) => void): Promise<{ said: string; bad?: boolean; file?: string }> {
  const response = await fetch(path, { headers: authorization() });
  if (!response.ok || !response.body) {
    const body = (await response.json().catch(() => undefined)) as { error?: { message?: string } } | undefined;
    return { said: body?.error?.message ?? `The server answered ${response.status}.`, bad: true };
  }
  const pieces: BlobPart[] = [];
  let bytes = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    bytes += value.length;
    progress(bytes);
  }
  const url = URL.createObjectURL(new Blob(pieces, { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  const raw = response.headers.get("tapline-inputs");
  return { said: `Saved ${file}, ${(bytes / 1e6).toFixed(2)} MB.${raw ? ` Raw input: ${raw}.` : ""}`, file };
}

function Leaf({ newest }: { newest: number | undefined }) {
  const [leaf, setLeaf] = useState<LeafQuery["leaf"]>();
  const [said, setSaid] = useState("");
  const look = async (seq: number) => {
    try {
      const answer = await ask(LeafDocument, { seq });
      setLeaf(answer.leaf);
      setSaid(answer.leaf ? "" : "There is no such leaf.");
    } catch (error) {
      setSaid(error instanceof Error ? error.message : "The server did not answer.");
    }
  };
  return (
    <>
      <form
        class="form inline"
        onSubmit={(e) => {
          e.preventDefault();
          const text = new FormData(e.currentTarget).get("seq");
          void look(Number(text || newest || 0));
        }}
      >
        <label class="field">
          Number
          <input name="seq" type="number" min={0} max={newest} placeholder={newest === undefined ? "" : String(newest)} />
        </label>
        <button class="quiet">Look at it</button>
      </form>
      {said && (
        <p class="failure" role="alert">
          {said}
        </p>
      )}
      {leaf && (
        <>
          <dl class="facts">
            <dt>Leaf</dt>
            <dd>
              {leaf.seq}, {leaf.kind}
              {leaf.simulated && ", simulated"}
              {leaf.keyframe && ", keyframe"}
              {leaf.demoted && ", demoted"}
            </dd>
            <dt>Time</dt>
            <dd>
              {leaf.at}, tick {leaf.tick}
            </dd>
            <dt>Witness</dt>
            <dd class="hash">{leaf.witness}</dd>
            <dt>Before it</dt>
            <dd class="hash">{leaf.prev}</dd>
          </dl>
          <details>
            <summary>Its {leaf.hex.length / 2} bytes</summary>
            <pre tabIndex={0} class="bytes">
              {leaf.hex.match(/.{1,32}/g)!.join("\n")}
            </pre>
          </details>
        </>
      )}
    </>
  );
}
