/** From the schema's codes to words. */
import type { ClockReason, ClockState, DriftKind, HealthQuery } from "../generated/operations";
import type { Cycle, PresenceState } from "./cycle";
import type { Site } from "./site";

export const PRESENCE: Record<PresenceState, string> = {
  UNKNOWN: "Unknown",
  EMPTY: "Empty",
  OCCUPIED_MOVING: "Occupied, moving",
  OCCUPIED_STILL: "Occupied, still",
};

export const REASON: Record<Cycle["presence"]["reason"], string> = {
  NONE: "",
  NO_INPUT: "no frames arrive",
  NOT_CALIBRATED: "the empty room was not learned yet",
  GATE_REJECTED: "the measurements are not trusted",
  DRIFTED: "the calibration no longer fits the room",
  NOT_COVERED: "no link passes through it",
  PRIVACY: "the privacy class does not let it out",
  STAGE_FAILED: "the stage that would know failed",
  MOTION: "links flicker more than in the empty room",
  ATTENUATION: "somebody stands in the way of links",
  HELD: "held for its minimum time",
  QUIET: "all evidence is below its thresholds",
};

export const GATE: Record<Cycle["gate"], [name: string, meaning: string]> = {
  ACCEPT: ["Accept", "measurements are used"],
  PREDICT_ONLY: ["Predict only", "measurements are doubtful, filters predict"],
  REJECT: ["Reject", "measurements are not trusted"],
  RECALIBRATE: ["Recalibrate", "the room is no longer the one that was learned"],
};

export const CONTRADICTION: Record<Cycle["quality"]["contradictions"][number], string> = {
  CLOCK_SPREAD: "clocks of nodes spread too far",
  EMPTY_BUT_TRACKED: "motion says empty, the tracker reports somebody",
  MOTION_WITHOUT_IMAGE: "links flicker, the image is quiet",
  NODES_DISAGREE: "nodes disagree about the channel",
};

const CLOCK: Record<ClockState, string> = {
  ADMIT: "used to compare radios",
  MONITOR_ONLY: "watched, not used",
  REJECT: "not used",
};

const CLOCK_REASON: Record<ClockReason, string> = {
  DISPERSED: "its times spread too far",
  INVALID: "it runs as no crystal does",
  NO_TIME: "its frames carry no time of capture",
  STALE: "no time for nine seconds",
  STEADY: "steady",
  TOO_SHORT: "fewer than eight seconds known",
};

/** How a radio's clock does. */
export function clockWords(clock: HealthQuery["nodes"][number]["clockQuality"]): string {
  if (!clock) return "–";
  const spread = clock.spreadUs == null ? "" : `, ± ${fixed(clock.spreadUs, 0, "µs")}`;
  const drift = clock.driftPpm == null ? "" : `, ${fixed(clock.driftPpm, 1, "ppm").replace("-", "−")}`;
  return `${CLOCK_REASON[clock.reason]}${spread}${drift}: ${CLOCK[clock.state]}`;
}

export const DRIFT: Record<DriftKind, string> = {
  DRIFTING: "drifting",
  SLOW: "drifted away",
  STABLE: "as calibrated",
  STEP: "stepped",
  UNKNOWN: "not known",
};

type Change = HealthQuery["site"]["array"]["change"];

/** The same without how long ago it was, which changes every second. */
export function timeless(change: Change): Change {
  return change && { ...change, agoS: null };
}

/** What the links together say of the quiet room. */
export function changeWords(change: Change, site: Site): string {
  if (!change) return "Not looked at yet.";
  const ago = change.agoS == null ? "" : ` ${duration(change.agoS)} ago`;
  switch (change.kind) {
    case "NODE_MOVED":
      return `${site.nodes.find((n) => n.id === change.node)?.name ?? "A node"} was moved or turned${ago}: all its links are off, most others are not.`;
    case "ONE_LINK": {
      const link = site.links.find((l) => l.path === change.path);
      return `${link ? `Link ${link.tx} → ${link.rx}` : "One link"} alone is off: something stands in it, or its radio changed.`;
    }
    case "ROOM_CHANGED":
      return `The room was changed${ago}: ${change.links ?? "several"} links stepped together.`;
    case "SLOW_DRIFT":
      return `${change.links ?? "Several"} links went off slowly: temperature or ageing.`;
    case "STABLE":
      return "The quiet room is as it was learned.";
    case "UNKNOWN":
      return "Not known: the empty room was not learned, or too recently.";
  }
}

export const PRIVACY_CLASS: Record<NonNullable<Cycle["privacyClass"]>, string> = {
  RAW: "Raw",
  DERIVED: "Derived",
  ANONYMOUS: "Anonymous",
  RESTRICTED: "Restricted",
};

export const PRIVACY_MODE: Record<NonNullable<Cycle["privacyMode"]>, string> = {
  RAW_RESEARCH: "Raw research",
  CARE_WITH_CONSENT: "Care with consent",
  PRIVATE_HOME: "Private home",
  ENTERPRISE_ANONYMOUS: "Enterprise anonymous",
  STRICT_NO_IDENTITY: "Strict, no identity",
};

export function people(count: number | null | undefined): string {
  if (count == null) return "uncounted";
  return count === 1 ? "1 person" : `${count} people`;
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

export function percent(share: number | null | undefined, digits = 0): string {
  return share == null ? "–" : `${(100 * share).toFixed(digits)} %`;
}

export function fixed(x: number | null | undefined, digits: number, unit = ""): string {
  return x == null ? "–" : `${x.toFixed(digits)}${unit && `\u202f${unit}`}`;
}

export function names(id: string | null | undefined, name: string | null | undefined): string {
  const text = name || id || "an area of the past";
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** People walk faster than this in rooms, metres a second. */
const WALK_M_S = 1;

/** Says when links cannot tell how somebody walks, for want of frames; nothing when all can. */
export function walkWords(links: { fastestWalkMS: number | null }[]): string {
  const known = links.flatMap((l) => (l.fastestWalkMS == null ? [] : [l.fastestWalkMS]));
  const slow = known.filter((speed) => speed < WALK_M_S);
  if (!slow.length) return "";
  const least = fixed(Math.min(...slow), 1, "m/s");
  return `${slow.length} of ${known.length} links cannot tell walks faster than ${least} from slower ones: let the nodes send more frames a second.`;
}
