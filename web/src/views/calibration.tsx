/** The empty-room calibration: what it is, how far it is, and starting one. */
import { useState } from "preact/hooks";
import { ask, Refused } from "../api/client";
import { HealthDocument, StartCalibrationDocument, StopCalibrationDocument } from "../generated/operations";
import type { Site } from "../live/site";
import { changeWords } from "../live/words";
import { Announce } from "../ui/announce";
import { Panel } from "../ui/panel";
import { usePoll } from "../ui/poll";

export function Calibration({ site }: { site: Site }) {
  const health = usePoll(HealthDocument, 1_000);
  const [said, setSaid] = useState("");
  const [sure, setSure] = useState(false);
  const status = health?.calibration.status ?? "";
  const running = status.startsWith("running");
  const order = async (what: () => Promise<unknown>) => {
    setSure(false);
    try {
      await what();
      setSaid("");
    } catch (error) {
      setSaid(error instanceof Refused ? error.message : "The server did not answer.");
    }
  };
  return (
    <Panel title="Calibration">
      <p>{status || "–"}</p>
      <Announce text={running ? "The empty room is being learned." : status} />
      {running && <Progress status={status} />}
      {!running && health?.site.array.change?.recalibrate && (
        <p class="note">{changeWords(health.site.array.change, site)} Learn the empty room again.</p>
      )}
      {running ? (
        <button class="quiet" onClick={() => order(() => ask(StopCalibrationDocument))}>
          Give up
        </button>
      ) : sure ? (
        <div class="ask">
          <p>
            Leave the room first. It is learned for as long as the site's configuration says, 30 s if it says nothing, and refused when
            somebody moves.
          </p>
          <button onClick={() => order(() => ask(StartCalibrationDocument))}>Learn it now</button>{" "}
          <button class="quiet" onClick={() => setSure(false)}>
            Cancel
          </button>
        </div>
      ) : (
        <button class="quiet" onClick={() => setSure(true)}>
          Learn the empty room…
        </button>
      )}
      {said && <p class="failure" role="alert">{said}</p>}
    </Panel>
  );
}

function Progress({ status }: { status: string }) {
  const [, done, all] = /(\d+) of (\d+) s/.exec(status) ?? [];
  if (!done || !all) return null;
  return <progress value={Number(done)} max={Number(all)} aria-label="Learning the empty room" />;
}
