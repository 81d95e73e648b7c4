/** The first thing a newcomer sees: the page is there at once. */
import { expect, test } from "./demo";

// A trace films the page, and that costs more than the page itself; it also makes this file's browser a new one.
test.use({ trace: "off" });

/** Cycles after which the server starts nothing any more: five seconds. */
const SETTLED_CYCLES = 100;

test("the page is there with data within a second, at the first load", async ({ page, demo, browser }) => {
  // A server that has settled, and a browser that has shown something else before: it starts its own processes no more.
  await expect
    .poll(async () => Number((await demo.ask<{ cycle: { cycle: number } | null }>("{ cycle { cycle } }")).cycle?.cycle ?? 0), {
      timeout: 30_000,
    })
    .toBeGreaterThan(SETTLED_CYCLES);
  const other = await browser.newContext();
  await (await other.newPage()).goto(`${demo.url}/readyz`);
  await other.close();
  // Another context: nothing is cached, and nothing was loaded before.
  await page.goto("/", { waitUntil: "commit" });
  const there = await page.waitForFunction(
    () => document.querySelector(".plan canvas") && document.querySelector(".states .chip.good") && performance.now(),
    undefined,
    { polling: "raf" },
  );
  const ms = Number(await there.jsonValue());
  const painted = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const paint = Number(await painted.jsonValue());
  test.info().annotations.push({ type: "load", description: `${ms.toFixed(0)} ms` });
  console.log(`    first painted after ${paint.toFixed(0)} ms, the plan with live data was there after ${ms.toFixed(0)} ms`);
  expect(ms).toBeLessThan(1_000);
});
