/** What the page tells the worker that draws. (What the worker tells the page: `Lay`.) */
import type { Cycle } from "../live/cycle";
import type { Layer } from "../live/prefs";
import type { Site } from "../live/site";
import type { Image } from "./heat";
import type { Palette } from "./palette";
import type { Truth } from "./person";
import type { Lay } from "./stage";

/** What of a cycle is drawn. */
export type Seen = Pick<Cycle, "bootId" | "links" | "tracks">;

export type Order =
  | { kind: "begin"; site: Site; heat: OffscreenCanvas; links: OffscreenCanvas; people: [OffscreenCanvas, OffscreenCanvas]; before: Seen[] }
  /** A canvas lies where the worker wanted it. */
  | { kind: "laid"; laid: Lay }
  /** In pixels of the page, and device pixels for each of them. */
  | { kind: "size"; width: number; height: number; ratio: number }
  | { kind: "colours"; palette: Palette }
  | { kind: "layers"; on: Record<Layer, boolean> }
  | { kind: "cycle"; cycle: Seen }
  | { kind: "truth"; truth: Truth }
  | { kind: "image"; image: Image }
  /** The image that is shown may not be shown any more. */
  | { kind: "forget" };

export function seen({ bootId, links, tracks }: Cycle): Seen {
  return { bootId, links, tracks };
}
