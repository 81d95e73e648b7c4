/** The radios: how each does and why, how its links are, and who sends without being configured. */
import { HealthDocument, type HealthQuery } from "../generated/operations";
import { shown, type Cycle } from "../live/cycle";
import type { Site } from "../live/site";
import { duration, fixed, percent } from "../live/words";
import { Chip, type Kind } from "../ui/chip";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";
import { usePoll } from "../ui/poll";

const KIND: Record<string, Kind> = { ok: "good", slow: "warn", silent: "bad", "never seen": "bad" };

export function Nodes({ site }: { site: Site }) {
  const health = usePoll(HealthDocument, 1_000);
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
          <Node key={n.id} node={n} />
        ))}
      </ul>
      <div class="two">
        <Panel title="Links, by coherence with the empty room">
          <Matrix site={site} cycle={cycle} />
        </Panel>
        <Panel title="Datagrams since start">
          {health && <Datagrams health={health} />}
        </Panel>
      </div>
      {!!health?.unknownSenders.length && <Unknown senders={health.unknownSenders} />}
    </>
  );
}

function Node({ node }: { node: HealthQuery["nodes"][number] }) {
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

/** Rows transmit, columns receive. */
function Matrix({ site, cycle }: { site: Site; cycle: Cycle | undefined }) {
  const rx = site.nodes.filter((n) => site.links.some((l) => l.rx === n.id));
  const tx = site.nodes.filter((n) => site.links.some((l) => l.tx === n.id));
  const coherence = (from: number, to: number) => {
    const paths = site.links.filter((l) => l.tx === from && l.rx === to).map((l) => l.path);
    const known = (cycle?.links ?? []).filter((l) => paths.includes(l.path));
    if (!known.length) return undefined;
    const values = known.flatMap((l) => (l.coherence == null ? [] : [l.coherence]));
    return values.length ? Math.min(...values) : null;
  };
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Coherence of each link, live table">
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
                const value = coherence(t.id, r.id);
                if (value === undefined) return <td key={r.id} class="nothing" />;
                const strength = value == null ? 0 : Math.round(100 * Math.min(1, Math.max(0, (0.85 - value) / 0.55)));
                return (
                  <td key={r.id} style={{ background: `color-mix(in srgb, var(--link-upset) ${strength * 0.4}%, var(--sunken))` }}>
                    {percent(value)}
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
