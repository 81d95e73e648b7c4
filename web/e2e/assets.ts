/** The built page's files. */
import { readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ASSETS = fileURLToPath(new URL("../page/dist/assets/", import.meta.url));

/** What all scripts of the page may have together, gzipped, bytes. */
export const LARGEST = 250_000;

/** What they have, as they are sent. */
export function scriptBytes(): number {
  const all = readdirSync(ASSETS).filter((name) => name.endsWith(".js.gz"));
  if (!all.length) throw new Error(`no scripts in ${ASSETS}: the page was not built`);
  return all.reduce((sum, name) => sum + statSync(ASSETS + name).size, 0);
}
