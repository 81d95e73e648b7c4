/** What may be asked for at a stage. The page asks for the list every two seconds and gets new objects each time, so a choice is
 *  kept as a key and looked up in the newest list. */
import type { AttemptFragment, PluginsQuery } from "../generated/operations";

export type Stage = AttemptFragment["stage"];
export type Candidate = PluginsQuery["pluginCandidates"][number];

const STAGES: readonly Stage[] = ["CIR", "TOMOGRAPHY", "TRACKER"];

/** Names a candidate as long as its file stays the same file. */
export function keyOf({ plugin, file, blake3 }: Candidate): string {
  return [plugin, file ?? "", blake3 ?? ""].join(" ");
}

/** A library does not say its stage before it is loaded; its name may. */
export function fitting(stage: Stage, candidates: readonly Candidate[]): Candidate[] {
  const other = STAGES.filter((s) => s !== stage).map((s) => s.toLowerCase());
  return candidates.filter((c) => (c.stage ? c.stage === stage : !other.some((s) => c.plugin.startsWith(s))));
}

/** What is chosen before the reader chooses: something else than what runs. */
export function proposed(options: readonly Candidate[], running: string | undefined): string | undefined {
  const free = options.filter((c) => !c.refused);
  const first = free.find((c) => c.plugin !== running) ?? free[0];
  return first && keyOf(first);
}

/** The chosen one as it is now; nothing when it is gone or refused. */
export function available(options: readonly Candidate[], key: string | undefined): Candidate | undefined {
  return options.find((c) => keyOf(c) === key && !c.refused);
}
