/** What may leave this server now, and why. */
import { shown } from "../live/cycle";
import type { Site } from "../live/site";
import { CONTRADICTION, PRIVACY_CLASS, PRIVACY_MODE } from "../live/words";
import { Chip } from "../ui/chip";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";

const CLASSES = ["RAW", "DERIVED", "ANONYMOUS", "RESTRICTED"] as const;

/** What each class lets out, from the least strict to the strictest (docs/api.md, server/src/api/access.rs). */
const RULES: readonly [what: string, says: readonly [string, string, string, string]][] = [
  ["Occupancy of rooms", ["yes", "yes", "yes", "yes"]],
  ["Zones and counts", ["yes", "yes", "yes", "no"]],
  ["Positions and poses", ["yes", "yes", "yes", "no"]],
  ["Identity of a track", ["stable", "stable", "new every hour", "no"]],
  ["Image of the room", ["yes", "yes", "no", "no"]],
  ["Impulse responses", ["yes", "no", "no", "no"]],
  ["Raw input in a bundle", ["when asked for", "when asked for", "no", "no"]],
];

/** The fleet file's names, and the class each mode gives. */
const MODES: readonly [mode: keyof typeof PRIVACY_MODE, name: string, gives: string][] = [
  ["RAW_RESEARCH", "RawResearch", "Raw: demonstrations, tests, replay"],
  ["CARE_WITH_CONSENT", "CareWithConsent", "Derived"],
  ["PRIVATE_HOME", "PrivateHome", "Anonymous; the default"],
  ["ENTERPRISE_ANONYMOUS", "EnterpriseAnonymous", "Anonymous, counts only"],
  ["STRICT_NO_IDENTITY", "StrictNoIdentity", "Restricted"],
];

const DEMOTION = {
  CONTRADICTION: "statements of the cycle contradict each other",
  ARRAY: "nodes disagree",
  MESH: "the clock or the mesh is suspicious",
} as const;

export function Privacy({ site }: { site: Site }) {
  const cycle = shown.value;
  const now = cycle?.privacyClass ?? undefined;
  const mode = cycle?.privacyMode ?? site.site.privacyMode;
  const { retention } = site.site;
  return (
    <>
      <Head
        title="Privacy"
        aside={
          now && (
            <Chip kind={cycle!.demotions.length ? "warn" : "plain"}>
              {PRIVACY_CLASS[now]}
              {cycle!.demotions.length > 0 && " (demoted)"}
            </Chip>
          )
        }
      >
        {now ? (
          <>
            The class in force is <strong>{PRIVACY_CLASS[now]}</strong>
            {cycle!.demotions.length > 0
              ? `, stricter than the mode, because ${cycle!.demotions.map((d) => DEMOTION[d]).join(" and ")}.`
              : ", as the mode has it."}{" "}
            Contradictions only ever restrict.
          </>
        ) : (
          "No cycle yet."
        )}
      </Head>
      <Panel title="What leaves this server">
        <div class="scroll" tabIndex={0} role="region" aria-label="What each class lets out, table">
          <table class="classes">
            <thead>
              <tr>
                <th scope="col">Class</th>
                {CLASSES.map((c) => (
                  <th scope="col" key={c} class={c === now ? "here" : undefined} aria-current={c === now ? "true" : undefined}>
                    {PRIVACY_CLASS[c]}
                    {c === now && <small>in force</small>}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {RULES.map(([what, says]) => (
                <tr key={what}>
                  <th scope="row">{what}</th>
                  {says.map((s, i) => (
                    <td key={CLASSES[i]} class={`${CLASSES[i] === now ? "here" : ""} ${s === "no" ? "no" : ""}`}>
                      {s}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
      <div class="two even">
        <Panel title="Mode">
          <ul class="modes">
            {MODES.map(([code, name, gives]) => (
              <li key={code} class={code === mode ? "here" : undefined} aria-current={code === mode ? "true" : undefined}>
                <strong>{PRIVACY_MODE[code]}</strong>
                <span>{gives}</span>
                <code>{name}</code>
              </li>
            ))}
          </ul>
          <p class="hint">
            The mode is set in the fleet file, <code>[site.privacy] mode</code>, by who runs this server; it is bound into every
            cycle, so it cannot be loosened unseen.
          </p>
        </Panel>
        <div class="stack">
          <Panel title="Contradictions now">
            {cycle?.quality.contradictions.length ? (
              <ul class="plain-list">
                {cycle.quality.contradictions.map((c) => (
                  <li key={c}>{CONTRADICTION[c]}</li>
                ))}
              </ul>
            ) : (
              <p class="none">None: nothing restricts the class.</p>
            )}
          </Panel>
          <Panel title="What is kept">
            <dl class="facts">
              <dt>Raw input</dt>
              <dd>{retention.rawInputKept ? `${retention.rawMinutes} minutes` : "not at all"}</dd>
              <dt>What was published</dt>
              <dd>{retention.outcomeHours} hours</dd>
              <dt>The log's leaves</dt>
              <dd>hashes and decisions, no measurements</dd>
            </dl>
          </Panel>
        </div>
      </div>
    </>
  );
}
