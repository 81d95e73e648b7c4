/** The room as it is now: plan, presence, zones with their reasons, people. */
import { useState } from "preact/hooks";
import { WhyDocument } from "../generated/operations";
import { shown, stale, type Area, type Cycle } from "../live/cycle";
import { layers, type Layer } from "../live/prefs";
import type { Site } from "../live/site";
import { duration, fixed, GATE, names, people, percent, PRESENCE, REASON } from "../live/words";
import { pictured, whyNoImage } from "../plan/picture";
import { Plan } from "../plan/plan";
import { Announce } from "../ui/announce";
import { Panel } from "../ui/panel";
import { usePoll } from "../ui/poll";
import { Calibration } from "./calibration";
import { Chart, Key } from "./timeline";

export function Room({ site }: { site: Site }) {
  const cycle = shown.value;
  return (
    <div class="room">
      <div class="stack">
        <section class="panel hero" aria-labelledby="now">
          <div class="title">
            <Presence cycle={cycle} site={site} />
            <Layers demo={site.demo != null} />
          </div>
          <Plan site={site} />
          <Legend demo={site.demo} cycle={cycle} />
        </section>
        <Panel title="People">
          <People cycle={cycle} site={site} />
        </Panel>
      </div>
      <div class="rail">
        <Areas cycle={cycle} />
        <Panel title="The last minute" aside={<a href="#/timeline">Further back</a>}>
          <Chart />
          <Key />
        </Panel>
        <Panel title="Evidence">
          <Evidence cycle={cycle} />
        </Panel>
        <Calibration site={site} />
      </div>
    </div>
  );
}

const LAYERS: Record<Layer, string> = {
  heat: "Image",
  links: "Links",
  trails: "Trails",
  figures: "Figures",
  truth: "Truth",
};

function Layers({ demo }: { demo: boolean }) {
  return (
    <div class="choice many" role="group" aria-label="Layers of the floor plan">
      {(Object.keys(LAYERS) as Layer[])
        .filter((layer) => demo || layer !== "truth")
        .map((layer) => (
          <button
            key={layer}
            aria-pressed={layers.value[layer]}
            onClick={() => (layers.value = { ...layers.value, [layer]: !layers.value[layer] })}
          >
            {LAYERS[layer]}
          </button>
        ))}
    </div>
  );
}

/** What is seen of the image, or why there is none. */
function imageWords(cycle: Cycle | undefined): string {
  if (pictured.value !== false) return "image: what disturbs links; full colour from 3 × their quiet scatter on";
  const why = whyNoImage(cycle);
  return why ? `no image: ${why}` : "no image";
}

function Legend({ demo, cycle }: { demo: Site["demo"]; cycle: Cycle | undefined }) {
  return (
    <ul class="legend">
      {layers.value.heat && (
        <li>
          <span class="swatch image" aria-hidden="true" />
          {imageWords(cycle)}
        </li>
      )}
      <li>
        <svg viewBox="0 0 28 12" aria-hidden="true">
          <path d="M1 6h26" class="calm" />
        </svg>
        link as learned
      </li>
      <li>
        <svg viewBox="0 0 28 12" aria-hidden="true">
          <path d="M1 6h26" class="upset" />
        </svg>
        link disturbed
      </li>
      <li>
        <svg viewBox="0 0 28 12" aria-hidden="true">
          <ellipse cx="14" cy="6" rx="11" ry="5" class="ellipse" />
        </svg>
        where, two sigmas
      </li>
      <li>
        <svg viewBox="0 0 28 12" aria-hidden="true">
          <path d="M6 6h16" class="bone" />
          <circle cx="5" cy="6" r="2.6" class="joint" />
          <circle cx="23" cy="6" r="2.6" class="joint" />
        </svg>
        joint measured
      </li>
      <li>
        <svg viewBox="0 0 28 12" aria-hidden="true">
          <path d="M6 6h16" class="bone prior" />
          <circle cx="5" cy="6" r="2.6" class="joint prior" />
          <circle cx="23" cy="6" r="2.6" class="joint prior" />
        </svg>
        joint from the body model only
      </li>
      {demo && (
        <li>
          <svg viewBox="0 0 28 12" aria-hidden="true">
            <circle cx="14" cy="6" r="4.500" class="truth" />
            <path d="M5 6h18M14 0v12" class="truth" />
          </svg>
          truth: {demo.title.toLowerCase()}
        </li>
      )}
    </ul>
  );
}

/** What holds for this long is said aloud: somebody who moves and stops and moves is not. */
const STEADY_MS = 2_000;

function Presence({ cycle, site }: { cycle: Cycle | undefined; site: Site }) {
  const state = cycle?.presence.state ?? "UNKNOWN";
  const since = cycle && (cycle.tick - cycle.presence.sinceTick) / 20;
  const because = cycle && REASON[cycle.presence.reason];
  return (
    <div class={`presence ${stale.value ? "old" : ""}`}>
      <p class="eyebrow">{site.site.name || site.site.id}</p>
      <h1 id="now">{sentence(cycle)}</h1>
      <Announce text={cycle ? sentence(cycle) : ""} afterMs={STEADY_MS} />
      <p class="because">
        {cycle?.presence.probability != null && (
          <span class={`meter ${state.toLowerCase()}`} aria-hidden="true">
            <span style={{ width: `${100 * cycle.presence.probability}%` }} />
          </span>
        )}
        <span>
          {cycle?.presence.probability != null && <strong>{percent(cycle.presence.probability)} </strong>}
          {because}
          {since != null && ` · for ${duration(since)}`}
        </span>
      </p>
    </div>
  );
}

function sentence(cycle: Cycle | undefined): string {
  switch (cycle?.presence.state) {
    case "EMPTY":
      return "Nobody is here";
    case "OCCUPIED_MOVING":
    case "OCCUPIED_STILL": {
      const how = cycle.presence.state === "OCCUPIED_MOVING" ? "moving" : "still";
      return cycle.people ? `${people(cycle.people)}, ${how}` : `Somebody, ${how}`;
    }
    default:
      return "Not known";
  }
}

function Areas({ cycle }: { cycle: Cycle | undefined }) {
  const [open, setOpen] = useState<string>();
  const why = usePoll(WhyDocument, 1_000, open !== undefined);
  if (!cycle) return null;
  const areas = [...cycle.rooms, ...cycle.zones];
  return (
    <Panel title="Rooms and zones">
      <ul class="areas">
        {areas.map((area, i) => (
          <AreaRow
            key={`${i}${area.id}`}
            area={area}
            tick={cycle.tick}
            part={i >= cycle.rooms.length}
            open={open === area.id}
            lines={why?.why.find((w) => w.area === area.id)?.lines}
            toggle={() => setOpen(open === area.id ? undefined : (area.id ?? undefined))}
          />
        ))}
      </ul>
    </Panel>
  );
}

interface RowProps {
  area: Area;
  tick: number;
  /** A zone, which is part of a room. */
  part: boolean;
  open: boolean;
  lines: readonly string[] | undefined;
  toggle: () => void;
}

function AreaRow({ area, tick, part, open, lines, toggle }: RowProps) {
  const { presence } = area;
  return (
    <li class={part ? "part" : undefined}>
      <div class="row">
        <span class={`dot ${presence.state.toLowerCase()}`} aria-hidden="true" />
        <span class="name">{names(area.id, area.name)}</span>
        <span class="state">
          {PRESENCE[presence.state]}
          {!!area.people && `, ${people(area.people)}`}
          <small> for {duration((tick - presence.sinceTick) / 20)}</small>
        </span>
        <button class="quiet" aria-expanded={open} onClick={toggle}>
          Why<span class="unseen"> is {names(area.id, area.name)} {PRESENCE[presence.state].toLowerCase()}</span>?
        </button>
      </div>
      {open && (
        <ol class="trace">
          {lines?.map((line, i) => <li key={i}>{line}</li>) ?? <li>asking…</li>}
          {lines?.length === 0 && <li>{REASON[presence.reason] || "nothing is said about it"}</li>}
        </ol>
      )}
    </li>
  );
}

function People({ cycle, site }: { cycle: Cycle | undefined; site: Site }) {
  const tracks = cycle?.tracks ?? [];
  if (!tracks.length) return <p class="none">{whyNobody(cycle)}</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="People, live table">
      <table>
        <thead>
          <tr>
            <th scope="col">Person</th>
            <th scope="col">Where</th>
            <th scope="col" class="number">x</th>
            <th scope="col" class="number">y</th>
            <th scope="col" class="number">± σ</th>
            <th scope="col" class="number">Speed</th>
            <th scope="col" class="number">Exists</th>
            <th scope="col">Track</th>
            <th scope="col">Joints</th>
          </tr>
        </thead>
        <tbody>
          {tracks.map((t) => (
            <tr key={t.id}>
              <th scope="row">{t.id}</th>
              <td>{where(site, t.x, t.y)}</td>
              <td class="number">{fixed(t.x, 2, "m")}</td>
              <td class="number">{fixed(t.y, 2, "m")}</td>
              <td class="number">{fixed(t.sigmaM, 2, "m")}</td>
              <td class="number">{t.vx == null || t.vy == null ? "–" : fixed(Math.hypot(t.vx, t.vy), 1, "m/s")}</td>
              <td class="number">{percent(t.existence)}</td>
              <td>{t.active ? "measured" : "predicted"}</td>
              <td>{joints(t)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function joints(track: Cycle["tracks"][number]): string {
  if (!track.keypoints) return "not let out";
  const measured = track.keypoints.filter((k) => k.source === "MEASURED").length;
  return measured ? `${measured} of ${track.keypoints.length} measured` : "body model only";
}

function whyNobody(cycle: Cycle | undefined): string {
  if (!cycle) return "No cycle yet.";
  if (cycle.privacyClass === "RESTRICTED") return "The privacy class lets out rooms only, no persons.";
  if (cycle.privacyMode === "ENTERPRISE_ANONYMOUS") return "The privacy mode lets out counts only, no persons.";
  if (cycle.presence.state === "UNKNOWN") return `Not known: ${REASON[cycle.presence.reason]}.`;
  if (cycle.presence.state === "EMPTY") return "Nobody is tracked.";
  return "Somebody is here, not located yet.";
}

function where(site: Site, x: number | null | undefined, y: number | null | undefined): string {
  if (x == null || y == null) return "–";
  const zone = site.site.zones.find((z) => inside(z.outline, x, y));
  const room = site.site.rooms.find((r) => inside(r.outline, x, y));
  const area = zone ?? room;
  return area ? names(area.id, area.name) : "outside";
}

/** Even-odd rule. */
function inside(outline: readonly { x: number; y: number }[], x: number, y: number): boolean {
  let within = false;
  for (const [i, a] of outline.entries()) {
    const b = outline[(i + 1) % outline.length]!;
    if (a.y > y !== b.y > y && x < a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)) within = !within;
  }
  return within;
}

function Evidence({ cycle }: { cycle: Cycle | undefined }) {
  if (!cycle) return null;
  const { quality } = cycle;
  const [gate, meaning] = GATE[cycle.gate];
  return (
    <dl class="facts">
      <dt>Gate</dt>
      <dd>
        {gate}: {meaning}
        {cycle.gateReason !== "NONE" && ` (${REASON[cycle.gateReason]})`}
      </dd>
      <dt>Quality</dt>
      <dd>{percent(quality.score)}</dd>
      <dt>Links heard</dt>
      <dd>{percent(quality.linksShare)}</dd>
      <dt>Coherence</dt>
      <dd>{percent(quality.coherence)}</dd>
      <dt>Stages run</dt>
      <dd>{percent(quality.stagesShare)}</dd>
      <dt>Cycle</dt>
      <dd class="figures">{cycle.cycle}</dd>
    </dl>
  );
}
