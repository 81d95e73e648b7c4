/** The first thing a newcomer sees: the page is there at once. */
import { expect, test } from "./demo";

// A trace films the page, and that costs more than the page itself; it also makes this file's browser a new one.
test.use({ trace: "off" });

test("the page is there with data within a second, at the first load", async ({ page }) => {
  // A new browser context: nothing is cached, and nothing was loaded before.
  await page.goto("/", { waitUntil: "commit" });
  const there = await page.waitForFunction(
    () => document.querySelector(".plan canvas") && document.querySelector(".states .chip.good") && performance.now(),
    undefined,
    { polling: "raf" },
  );
  const ms = Number(await there.jsonValue());
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  test.info().annotations.push({ type: "load", description: `${ms.toFixed(0)} ms` });
  console.log(`    first painted after ${paint?.toFixed(0) ?? "?"} ms, the plan with live data was there after ${ms.toFixed(0)} ms`);
  expect(ms).toBeLessThan(1_000);
});
