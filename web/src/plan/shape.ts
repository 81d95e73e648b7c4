/** What the floor plan draws of the site, as one text: the plan is made anew when it changes, and only then. */
import type { Site } from "../live/site";

export function shape({ site, nodes, links, demo }: Site): string {
  return JSON.stringify([
    site.rooms.map(({ id, outline }) => [id, outline]),
    site.zones.map(({ id, name, outline }) => [id, name, outline]),
    site.doors,
    nodes.map(({ id, x, y }) => [id, x, y]),
    links.map(({ path, tx, rx }) => [path, tx, rx]),
    demo,
  ]);
}
