/** The README's pictures, from the running demo; written only by `cargo xtask e2e --update-pictures`. */
import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { expect, open, test } from "./demo";

const PICTURES = fileURLToPath(new URL("../../docs/images/", import.meta.url));
/** How long the animation is, milliseconds, and how large its file may be, bytes: everybody who clones takes it along. */
const [LENGTH_MS, LARGEST] = [6_000, 450_000];

test("the pictures of the README", async ({ page }) => {
  test.skip(!process.env.TAPLINE_UPDATE_PICTURES, "written with --update-pictures only");
  test.setTimeout(240_000);
  mkdirSync(PICTURES, { recursive: true });
  await page.setViewportSize({ width: 1280, height: 860 });
  await open(page);
  const person = page.locator("table tbody tr").first();
  const close = async () => (await person.count()) > 0;
  // The first moment at which somebody is tracked: nothing is chosen.
  await expect.poll(close, { timeout: 200_000 }).toBe(true);
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(400);
    const png = await page.screenshot();
    await sharp(png).webp({ quality: 78 }).toFile(`${PICTURES}page-${scheme}.webp`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 900, height: 860 });
  await expect.poll(close, { timeout: 200_000 }).toBe(true);
  const clip = (await page.locator(".hero").boundingBox())!;
  const frames: Buffer[] = [];
  const delay: number[] = [];
  for (const begun = performance.now(); performance.now() - begun < LENGTH_MS; ) {
    const at = performance.now();
    frames.push(await page.screenshot({ clip }));
    await page.waitForTimeout(Math.max(0, 125 - (performance.now() - at)));
    // Played at the pace at which it happened.
    delay.push(Math.round(performance.now() - at));
  }
  const small = await Promise.all(frames.map((f) => sharp(f).resize({ width: 600 }).png().toBuffer()));
  const file = `${PICTURES}page-walk.webp`;
  await sharp(small, { join: { animated: true } }).webp({ quality: 50, effort: 5, minSize: true, delay, loop: 0 }).toFile(file);
  const { size } = statSync(file);
  console.log(`    ${frames.length} frames, ${(size / 1e3).toFixed(0)} kB`);
  expect(size).toBeLessThan(LARGEST);
});
