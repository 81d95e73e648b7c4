/** What seldom changes while a server process runs: rooms, nodes, links, the demo's scene. Asked for again when
 *  another process answers, or when zones begin or cease to leave. */
import { effect, signal } from "@preact/signals";
import { ask, connection, token } from "../api/client";
import { SiteDocument, type SiteQuery } from "../generated/operations";
import { boot, restricted } from "./cycle";
import { forget } from "./history";

export type Site = SiteQuery;

export const site = signal<Site | undefined>(undefined);

export function start(): () => void {
  let asked: string | undefined;
  return effect(() => {
    const wanted = `${boot.value} ${restricted.value} ${token.value}`;
    if (connection.value !== "open" || wanted === asked) return;
    asked = wanted;
    forget();
    ask(SiteDocument).then(
      (answer) => (site.value = answer),
      () => (asked = undefined),
    );
  });
}
