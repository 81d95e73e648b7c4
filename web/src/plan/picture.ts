/** Whether an image of the room is drawn now, and why not. */
import { signal } from "@preact/signals";
import type { Cycle } from "../live/cycle";
import { REASON } from "../live/words";

/** An image is drawn; nothing while the first one is waited for. */
export const pictured = signal<boolean | undefined>(undefined);

/** Images come every second cycle: one that lies this many behind is of a past that the plan does not show, ticks. */
const OLD_TICKS = 10;

/** Whether an image is no longer of now. Ahead of the cycle by more is another process's. */
export function outdated(imageTick: number, cycleTick: number): boolean {
  return Math.abs(cycleTick - imageTick) > OLD_TICKS;
}

/** What keeps an image from being there, as far as the cycle says it. */
export function whyNoImage(cycle: Cycle | undefined): string | undefined {
  if (!cycle) return undefined;
  if (cycle.privacyClass === "ANONYMOUS" || cycle.privacyClass === "RESTRICTED") return "the privacy class keeps it back";
  const known = [cycle.gateReason, cycle.presence.reason].find((r) => r === "NO_INPUT" || r === "NOT_CALIBRATED" || r === "STAGE_FAILED");
  switch (cycle.stages?.find((s) => s.stage === "tomography")?.disposition) {
    case undefined:
      return undefined;
    case "RAN":
      return known ? REASON[known] : "too few links answer";
    case "SKIPPED":
      return known ? REASON[known] : "no link can be compared with the quiet room";
    case "TIMEOUT":
      return "the stage was too late";
    default:
      return "the stage failed";
  }
}
