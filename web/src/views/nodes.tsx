/** The radios: how each does and why, what its place is worth, how its links are, and who sends without being configured. */
import { DriftDocument, HealthDocument, type DriftQuery, type HealthQuery } from "../generated/operations";
import { shown, type Cycle } from "../live/cycle";
import type { Site } from "../live/site";
import { changeWords, clockWords, DRIFT, duration, fixed, names, percent, timeless, walkWords } from "../live/words";
import { Announce } from "../ui/announce";
import { Chip, type Kind } from "../ui/chip";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";
import { usePoll } from "../ui/poll";

const KIND: Record<string, Kind> = { ok: "good", slow: "warn", silent: "bad", "never seen": "bad" };

export function Nodes({ site }: { site: Site }) {
  const health = usePoll(HealthDocument, 1_000);
  const drift = usePoll(DriftDocument, 2_000);
  const cycle = shown.value;
  const nodes = health?.nodes ?? [];
  const well = nodes.filter((n) => n.health === "ok").length;
  return (
    <>
      <Head title="Nodes">
        {health
          ? `${well} of ${nodes.length} do well. ${health.server.ready ? "" : `The server is not ready: ${health.server.notReadyReason}.`}`
          : "Asking…"}
      </Head>
      <ul class="cards">
        {nodes.map((n) => (
          <Node key={n.id} node={n} site={site} />
        ))}
      </ul>
      <div class="two">
        <div class="stack">
          <Panel title="Links, by coherence with the empty room">
            <Matrix site={site} label="Coherence of each link, live table" cell={coherence(site, cycle)} />
          </Panel>
          <Panel title="Links, by drift from their calibration">
            <p>{health ? changeWords(health.site.array.change, site) : "Asking…"}</p>
            <Announce text={health ? changeWords(timeless(health.site.array.change), site) : ""} />
            {drift && walkWords(drift.links) && <p class="note">{walkWords(drift.links)}</p>}
            <Matrix site={site} label="Drift of each link, live table" cell={drifted(site, drift)} />
            <p class="hint">
              How far the quiet profile of a link has moved, in standard deviations: below 2 it is as calibrated, from 4 on it is off. A
              dash: not known yet.
            </p>
          </Panel>
          <Geometry site={site} />
        </div>
        <Panel title="Datagrams since start">
          {health && <Datagrams health={health} />}
        </Panel>
      </div>
      {!!health?.unknownSenders.length && <Unknown senders={health.unknownSenders} />}
    </>
  );
}

function Node({ node, site }: { node: HealthQuery["nodes"][number]; site: Site }) {
  const placement = site.nodes.find((n) => n.id === node.id)?.placement;
  const word = node.health ?? "not looked at yet";
  return (
    <li class="panel card">
      <div class="title">
        <h2>
          <span class="number-tag" aria-hidden="true">
            {node.id}
          </span>
          {node.name}
        </h2>
        <Chip kind={KIND[word] ?? "plain"}>{word}</Chip>
      </div>
      <p class="reason">{node.healthReason ?? "–"}</p>
      <dl class="facts">
        <dt>Frames</dt>
        <dd>
          {fixed(node.rateHz, 0, "Hz")}, {node.frames ?? "–"} in all
        </dd>
        <dt>Lost</dt>
        <dd>{percent(node.loss, 1)}</dd>
        <dt>Strength</dt>
        <dd>{node.rssiDbm == null ? "–" : `${node.rssiDbm}\u202fdBm`.replace("-", "−")}</dd>
        <dt>Last heard</dt>
        <dd>{node.lastSeenS == null ? "never" : node.lastSeenS < 1 ? "now" : `${duration(node.lastSeenS)} ago`}</dd>
        <dt>Address</dt>
        <dd>{node.address ?? "–"}</dd>
        <dt>Restarts</dt>
        <dd>{node.reboots ?? "–"}</dd>
        <dt>Clock</dt>
        <dd>{clockWords(node.clockQuality)}</dd>
        <dt>Place</dt>
        <dd>{placement?.hint ?? "Not judged: the site is too large."}</dd>
        {node.notUsed.map((n) => (
          <>
            <dt>Not used</dt>
            <dd>
              {n.count} ({n.name.replaceAll("_", " ")})
            </dd>
          </>
        ))}
      </dl>
    </li>
  );
}

/** What stands in a cell, and how much it is out of order, 0 to 1. */
interface Cell {
  text: string;
  /** Said of it to who cannot see its colour. */
  word?: string;
  upset: number;
}

/** Nothing: there is no such link. */
type Cells = (tx: number, rx: number) => Cell | undefined;

const paths = (site: Site, tx: number, rx: number) => site.links.filter((l) => l.tx === tx && l.rx === rx).map((l) => l.path);
const unit = (x: number) => Math.min(1, Math.max(0, x));

/** The least of a pair's paths. */
function coherence(site: Site, cycle: Cycle | undefined): Cells {
  return (tx, rx) => {
    const of = paths(site, tx, rx);
    const known = (cycle?.links ?? []).filter((l) => of.includes(l.path));
    if (!known.length) return undefined;
    const values = known.flatMap((l) => (l.coherence == null ? [] : [l.coherence]));
    if (!values.length) return { text: "–", upset: 0 };
    const least = Math.min(...values);
    return { text: percent(least), upset: unit((0.85 - least) / 0.55) };
  };
}

/** The worst of a pair's paths. */
function drifted(site: Site, drift: DriftQuery | undefined): Cells {
  return (tx, rx) => {
    const of = paths(site, tx, rx);
    if (!of.length) return undefined;
    const known = (drift?.links ?? []).filter((l) => of.includes(l.path)).flatMap((l) => (l.drift ? [l.drift] : []));
    const [worst] = known.sort((a, b) => (b.sigma ?? -1) - (a.sigma ?? -1));
    if (worst?.sigma == null) return { text: "–", word: DRIFT.UNKNOWN, upset: 0 };
    const off = worst.kind === "STEP" || worst.kind === "SLOW" || worst.kind === "DRIFTING";
    return { text: fixed(worst.sigma, 1, "σ"), word: DRIFT[worst.kind], upset: off ? unit(worst.sigma / 8) : 0 };
  };
}

/** Rows transmit, columns receive. */
function Matrix({ site, label, cell }: { site: Site; label: string; cell: Cells }) {
  const rx = site.nodes.filter((n) => site.links.some((l) => l.rx === n.id));
  const tx = site.nodes.filter((n) => site.links.some((l) => l.tx === n.id));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="matrix">
        <thead>
          <tr>
            <th scope="col">from, to</th>
            {rx.map((n) => (
              <th scope="col" key={n.id}>
                {n.id}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tx.map((t) => (
            <tr key={t.id}>
              <th scope="row">{t.name}</th>
              {rx.map((r) => {
                const it = cell(t.id, r.id);
                if (!it) return <td key={r.id} class="nothing" />;
                const strength = Math.round(100 * it.upset);
                return (
                  <td key={r.id} style={{ background: `color-mix(in srgb, var(--link-upset) ${strength * 0.4}%, var(--sunken))` }}>
                    {it.text}
                    {it.word && <span class="unseen"> {it.word}</span>}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the places of the radios can tell, room by room. */
function Geometry({ site }: { site: Site }) {
  const at = ({ x, y }: { x: number; y: number }) => `(${x.toFixed(1)}, ${y.toFixed(1)})\u202fm`;
  const { rooms, array } = site.site;
  return (
    <Panel title="What the radios' places can tell">
      {array.leftOut && <p class="note">{array.leftOut}</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label="Least position error in each room">
        <table>
          <thead>
            <tr>
              <th scope="col">Room</th>
              <th scope="col" class="number">Least error</th>
              <th scope="col" class="number">10 to 90 %</th>
              <th scope="col" class="number">To 0.5&#8239;m</th>
              <th scope="col" class="number">Evenness</th>
              <th scope="col">Known worst</th>
              <th scope="col">Another radio</th>
            </tr>
          </thead>
          <tbody>
            {rooms.map(({ id, name, geometry: g }) => (
              <tr key={id}>
                <th scope="row">{names(id, name)}</th>
                <td class="number">{fixed(g?.medianErrorM, 2, "m")}</td>
                <td class="number">{g ? `${g.p10ErrorM.toFixed(2)} to ${fixed(g.p90ErrorM, 2, "m")}` : "–"}</td>
                <td class="number">{percent(g?.located)}</td>
                <td class="number">{fixed(g?.evenness, 2)}</td>
                <td>{g ? at(g.worst) : "–"}</td>
                <td>{!g ? "–" : g.newNode ? `at ${at(g.newNode.at)}: ${fixed(g.newNode.medianErrorM, 2, "m")}` : "would add little"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">
        The least error of a position that any method could have with radios in these places, over a grid of places: median, range, share
        of places known to half a metre. Evenness 1: links see alike in all directions; 0: along one line only.
      </p>
    </Panel>
  );
}

function Datagrams({ health }: { health: HealthQuery }) {
  const { received, notUsed, cyclesRun, missedTicks, uptimeS } = health.server;
  return (
    <dl class="facts">
      {received.map((r) => (
        <>
          <dt>{r.name.toUpperCase()}</dt>
          <dd class="number">{r.count}</dd>
        </>
      ))}
      {notUsed.map((r) => (
        <>
          <dt>Not used: {r.name.replaceAll("_", " ")}</dt>
          <dd class="number">{r.count}</dd>
        </>
      ))}
      <dt>Cycles</dt>
      <dd class="number">{cyclesRun}</dd>
      <dt>Missed slots</dt>
      <dd class="number">{missedTicks}</dd>
      <dt>Running for</dt>
      <dd class="number">{duration(uptimeS)}</dd>
    </dl>
  );
}

function Unknown({ senders }: { senders: HealthQuery["unknownSenders"] }) {
  return (
    <Panel title="Senders that are not configured">
      <ul class="unknown">
        {senders.map((s) => (
          <li key={`${s.address} ${s.node}`}>
            <p>
              <strong>{s.address}</strong>
              {s.node != null && `, node ${s.node}`}: {s.datagrams} datagrams not used, {s.reason}. To admit it, add to the fleet
              file:
            </p>
            <pre tabIndex={0}>{s.admit}</pre>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
