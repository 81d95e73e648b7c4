/** What one link hears: its impulse response as it changes, and what the cycle reads from it. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { follow, refusals } from "../api/client";
import { DriftDocument, ResponseDocument } from "../generated/operations";
import { measured, shown, type Cycle } from "../live/cycle";
import type { Site } from "../live/site";
import { DRIFT, duration, fixed, percent, PRIVACY_CLASS } from "../live/words";
import { Waterfall } from "../plan/waterfall";
import { Canvas } from "../ui/canvas";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";
import { usePoll } from "../ui/poll";

type Link = Site["links"][number];

const chosen = signal(0);

export function Channel({ site }: { site: Site }) {
  const links = site.links.filter((l) => l.kind === "CSI");
  const link = links.find((l) => l.path === chosen.value) ?? links[0];
  const cycle = shown.value;
  if (!link) return <Head title="Channel">No configured link measures the channel; strength alone has no impulse response.</Head>;
  return (
    <>
      <Head title="Channel">
        Each echo of the room arrives with its own delay. A body in the way weakens taps, a body that moves makes them flicker.
      </Head>
      <div class="two">
        <Panel title={`Impulse response, ${title(site, link)}`} class="wide">
          <Response link={link} cycle={cycle} />
        </Panel>
        <div class="rail">
          <Panel title="Links">
            <LinkList site={site} links={links} link={link} cycle={cycle} />
          </Panel>
          <Panel title="Read from it">
            <Facts link={link} cycle={cycle} />
          </Panel>
        </div>
      </div>
    </>
  );
}

export function title(site: Site, link: Link): string {
  const name = (id: number | null | undefined) => site.nodes.find((n) => n.id === id)?.name ?? `node ${id ?? "?"}`;
  const many = site.links.some((l) => l !== link && l.tx === link.tx && l.rx === link.rx);
  return `${name(link.tx)} to ${name(link.rx)}${many ? `, antennas ${link.txAntenna}–${link.rxAntenna}, channel ${link.channel}` : ""}`;
}

function Response({ link, cycle }: { link: Link; cycle: Cycle | undefined }) {
  const waterfall = useRef(new Waterfall());
  const [revision, setRevision] = useState(0);
  const out = measured.value;
  // The class lets it out and the server does not: the page is open on another machine, and the server says so.
  const refusal = [...refusals.value.values()].find((r) => r.code === "PRIVACY");
  // Under a class that keeps it back nothing of it stays, and what is still on its way is not taken.
  useEffect(() => {
    waterfall.current.clear();
    setRevision(0);
    if (!out) return;
    return follow(ResponseDocument, { path: link.path }, ({ response }) => {
      waterfall.current.take(response);
      setRevision((r) => r + 1);
    });
  }, [link.path, out]);
  return (
    <div class="waterfall">
      <Canvas
        of={[revision]}
        height={520}
        label={`Power of each tap over delay, newest on top. In numbers: see “Read from it”.`}
        draw={(brush) => waterfall.current.draw(brush)}
      />
      {!out && cycle?.privacyClass ? (
        <p class="note">
          Held back: the impulse response leaves in class Raw only; the class in force is {PRIVACY_CLASS[cycle.privacyClass]}
          {cycle.demotions.length > 0 && ", because statements of the cycle contradict each other"}.
        </p>
      ) : (
        revision === 0 && <p class="note">{refusal ? `Held back: ${refusal.message}.` : "Waiting for the first response…"}</p>
      )}
    </div>
  );
}

function LinkList({ site, links, link, cycle }: { site: Site; links: Link[]; link: Link; cycle: Cycle | undefined }) {
  return (
    <ul class="links">
      {links.map((l) => {
        const report = cycle?.links.find((r) => r.path === l.path);
        return (
          <li key={l.path}>
            <button class="pick" aria-pressed={l === link} onClick={() => (chosen.value = l.path)}>
              <span>
                {l.tx} → {l.rx}
                <span class="unseen"> {title(site, l)}</span>
              </span>
              <span class="bar" aria-hidden="true">
                <span style={{ width: `${100 * (report?.coherence ?? 0)}%` }} />
              </span>
              <span class="number">{percent(report?.coherence)}</span>
            </button>
          </li>
        );
      })}
      <li class="hint">Coherence: how much the channel is as it was learned empty.</li>
    </ul>
  );
}

function Facts({ link, cycle }: { link: Link; cycle: Cycle | undefined }) {
  const report = cycle?.links.find((r) => r.path === link.path);
  const state = usePoll(DriftDocument, 2_000)?.links.find((l) => l.path === link.path);
  const drift = state?.drift;
  return (
    <dl class="facts">
      <dt>Tier</dt>
      <dd>
        {link.tier}, channel {link.channel}
      </dd>
      <dt>Coherence</dt>
      <dd>{percent(report?.coherence)}</dd>
      <dt>Drift</dt>
      <dd>
        {drift ? DRIFT[drift.kind] : "–"}
        {drift?.sigma != null && `, ${fixed(drift.sigma, 1, "σ")}`}
        {drift?.steppedS != null && ` ${duration(drift.steppedS)} ago`}
      </dd>
      <dt>Walks</dt>
      <dd>{state?.fastestWalkMS == null ? "no Doppler" : `told apart up to ${fixed(state.fastestWalkMS, 1, "m/s")}`}</dd>
      <dt>Motion</dt>
      <dd>{report?.motionRatio == null ? "–" : `${report.motionRatio.toFixed(1)} × quiet level`}</dd>
      <dt>Delay</dt>
      <dd>
        {fixed(report?.delayNs, 2, "ns")}
        {report?.delaySigmaNs != null && ` ± ${fixed(report.delaySigmaNs, 2, "ns")}`}
      </dd>
      <dt>Spread</dt>
      <dd>{fixed(report?.delaySpreadNs, 1, "ns")}</dd>
      <dt>K-factor</dt>
      <dd>{fixed(report?.kFactorDb, 1, "dB")}</dd>
      <dt>Certified gap</dt>
      <dd>{report?.gap == null ? "–" : report.gap.toExponential(1)}</dd>
      <dt>Last frame</dt>
      <dd>{report?.ageMs == null ? "never" : `${report.ageMs}\u202fms ago`}</dd>
    </dl>
  );
}
