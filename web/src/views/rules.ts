/** What each class lets out, and what the mode keeps back besides (docs/api.md, server/src/api/access.rs,
 *  server/src/cycle/privacy.rs). */
import type { PRIVACY_CLASS, PRIVACY_MODE } from "../live/words";

export type Class = keyof typeof PRIVACY_CLASS;
export type Mode = keyof typeof PRIVACY_MODE;

/** From the least strict to the strictest. */
export const CLASSES: readonly Class[] = ["RAW", "DERIVED", "ANONYMOUS", "RESTRICTED"];

interface Rule {
  what: string;
  says: readonly [string, string, string, string];
  /** It tells of single people: a mode that lets out counts only keeps it back under every class. */
  single?: boolean;
}

export const RULES: readonly Rule[] = [
  { what: "Occupancy of rooms", says: ["yes", "yes", "yes", "yes"] },
  { what: "Zones and counts", says: ["yes", "yes", "yes", "no"] },
  { what: "Positions and poses", says: ["yes", "yes", "yes", "no"], single: true },
  { what: "Identity of a track", says: ["stable", "stable", "new every hour", "no"], single: true },
  { what: "Image of the room", says: ["yes", "yes", "no", "no"], single: true },
  { what: "Impulse responses", says: ["yes", "no", "no", "no"], single: true },
  { what: "Raw input in a bundle", says: ["when asked for", "when asked for", "no", "no"], single: true },
];

/** What leaves under a class in a mode; without a mode, under the class alone. */
export function leaves({ says, single }: Rule, under: Class, mode: Mode | null | undefined): string {
  return single && mode === "ENTERPRISE_ANONYMOUS" ? "no" : says[CLASSES.indexOf(under)]!;
}
