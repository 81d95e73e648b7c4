/** What seldom changes while a server process runs: rooms, nodes, links, the demo's scene. Asked for at the start, and again when
 *  another process answers, or when zones begin or cease to leave. */
import { effect, signal } from "@preact/signals";
import { ask, connection, tries } from "../api/client";
import { SiteDocument, type SiteQuery } from "../generated/operations";
import { boot, restricted } from "./cycle";
import { Latest } from "./latest";

export type Site = SiteQuery;

export const site = signal<Site | undefined>(undefined);
/** Why it is not known, or not as it is now. */
export const failure = signal<string | undefined>(undefined);

/** A server that runs no cycle does not say which process it is: after this long it is asked nevertheless, milliseconds. */
const PATIENCE_MS = 2_000;

export function start(): () => void {
  const latest = new Latest(
    () => ask(SiteDocument),
    (answer) => {
      site.value = answer;
      failure.value = undefined;
    },
    (error) => (failure.value = error instanceof Error ? error.message : "the server did not answer"),
  );
  // Beside the connection, so that a newcomer waits for the slower of both and not for one after the other.
  latest.begin();
  let asked: string | undefined;
  const want = (what: string) => {
    if (what === asked) return;
    asked = what;
    latest.begin();
  };
  const end = effect(() => {
    const [process, rest] = [boot.value, `${restricted.value} ${tries.value}`];
    if (connection.value !== "open") return;
    if (process) {
      // The first answer may be of this process already.
      if (!asked && !restricted.value && site.peek()?.server.bootId === process) asked = `${process} ${rest}`;
      return want(`${process} ${rest}`);
    }
    const timer = setTimeout(() => want(`unknown ${rest}`), PATIENCE_MS);
    return () => clearTimeout(timer);
  });
  return () => {
    end();
    latest.stop();
  };
}
