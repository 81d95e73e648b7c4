/** What may leave this server now, and why. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, Refused } from "../api/client";
import { SetPrivacyModeDocument } from "../generated/operations";
import { shown } from "../live/cycle";
import type { Site } from "../live/site";
import { CONTRADICTION, PRIVACY_CLASS, PRIVACY_MODE } from "../live/words";
import { Chip } from "../ui/chip";
import { Head } from "../ui/head";
import { Panel } from "../ui/panel";
import { CLASSES, leaves, RULES, type Mode } from "./rules";

/** The fleet file's names, and the class each mode gives. */
const MODES: readonly [mode: Mode, name: string, gives: string][] = [
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
              {RULES.map((rule) => (
                <tr key={rule.what}>
                  <th scope="row">{rule.what}</th>
                  {CLASSES.map((c) => {
                    // The mode is of the class in force; the other columns are what their class alone would be.
                    const says = leaves(rule, c, c === now ? mode : undefined);
                    return (
                      <td key={c} class={`${c === now ? "here" : ""} ${says === "no" ? "no" : ""}`}>
                        {says}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {mode === "ENTERPRISE_ANONYMOUS" && (
          <p class="hint">The mode lets out counts only: in the column in force nothing tells of a single person.</p>
        )}
      </Panel>
      <div class="two even">
        <Panel title="Mode">
          <Modes mode={mode} />
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

/** The mode in force, and another by order. */
function Modes({ mode }: { mode: Mode | null | undefined }) {
  const [wanted, setWanted] = useState<Mode>();
  const [said, setSaid] = useState("");
  const order = async (to: Mode) => {
    try {
      await ask(SetPrivacyModeDocument, { mode: to });
      setSaid("");
    } catch (error) {
      setSaid(error instanceof Refused ? error.message : "The server did not answer.");
    }
  };
  return (
    <>
      <ul class="modes">
        {MODES.map(([code, name, gives]) => (
          <li key={code} class={code === mode ? "here" : undefined} aria-current={code === mode ? "true" : undefined}>
            <strong>{PRIVACY_MODE[code]}</strong>
            <span>{gives}</span>
            {code === mode ? (
              <code>{name}</code>
            ) : (
              <button class="quiet" onClick={() => setWanted(code)}>
                Change…<span class="unseen"> to {PRIVACY_MODE[code]}</span>
              </button>
            )}
          </li>
        ))}
      </ul>
      {said && (
        <p class="failure" role="alert">
          {said}
        </p>
      )}
      <p class="hint">
        An order holds at once and after a restart, until <code>[site.privacy] mode</code> is changed in the fleet file. It needs the
        scope <code>admin</code>. The mode is bound into every cycle, so it cannot be loosened unseen.
      </p>
      {wanted && <Sure from={mode} to={wanted} close={() => setWanted(undefined)} order={order} />}
    </>
  );
}

interface SureProps {
  from: Mode | null | undefined;
  to: Mode;
  close: () => void;
  order: (to: Mode) => Promise<void>;
}

function Sure({ from, to, close, order }: SureProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const place = (mode: Mode) => MODES.findIndex(([code]) => code === mode);
  // From the least strict to the strictest, as they are listed.
  const looser = from != null && place(to) < place(from);
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="sure">
      <form method="dialog" onSubmit={() => void order(to)}>
        <h2 id="sure">Change the mode to {PRIVACY_MODE[to]}</h2>
        <p class="note">
          {looser
            ? "More will leave this server from the next cycle on, to everybody who may ask it."
            : "Less will leave this server at once: of what it senses from now on, and of what it remembers."}{" "}
          A CONFIG leaf in the log says so, for good.
        </p>
        <div class="actions">
          <button>Change the mode</button>
          <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  );
}
