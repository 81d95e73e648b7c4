/** The first thing a newcomer sees: the page is there at once, people move, and it comes back by itself. */
import sharp from "sharp";
import { expect, open, test } from "./demo";

test("the page loads within a second", async ({ page }) => {
  const times: number[] = [];
  // The best of three: the first load also warms the server's and the browser's caches.
  for (let i = 0; i < 3; i++) {
    await page.goto("about:blank");
    await page.goto("/");
    await page.waitForFunction(() => document.querySelector(".plan canvas"));
    times.push(
      await page.evaluate(() => {
        const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
        const paint = performance.getEntriesByName("first-contentful-paint")[0];
        return Math.max(navigation!.loadEventEnd, paint?.startTime ?? Number.POSITIVE_INFINITY);
      }),
    );
  }
  test.info().annotations.push({ type: "load", description: times.map((t) => `${t.toFixed(0)} ms`).join(", ") });
  console.log(`    loaded and painted in ${times.map((t) => `${t.toFixed(0)} ms`).join(", ")}`);
  expect(Math.min(...times)).toBeLessThan(1_000);
});

test("people move", async ({ page }) => {
  await open(page);
  const place = page.locator("table tbody tr").first().locator("td.number");
  await expect(place.first()).toBeVisible({ timeout: 60_000 });
  const where = async () => (await place.allTextContents()).slice(0, 2).join(" ");
  const first = await where();
  await expect.poll(where, { timeout: 30_000 }).not.toBe(first);
});

test("people are drawn where they are", async ({ page }) => {
  await open(page);
  await expect(page.locator("table tbody tr").first().locator("td.number").first()).toBeVisible({ timeout: 60_000 });
  // What else changes is switched off: what is left to change is people.
  for (const layer of ["Image", "Links", "Trails", "Truth"]) await page.getByRole("button", { name: layer, exact: true }).click();
  const look = async () => sharp(await page.locator(".plan").screenshot()).raw().toBuffer({ resolveWithObject: true });
  const changed = async () => {
    const before = await look();
    await page.waitForTimeout(1_000);
    const { data, info } = await look();
    let pixels = 0;
    for (let i = 0; i < data.length; i += info.channels) pixels += Number(Math.abs(data[i]! - before.data[i]!) > 24);
    return pixels;
  };
  await expect.poll(changed, { timeout: 30_000 }).toBeGreaterThan(100);
});

test("the page comes back when the server was restarted", async ({ page, demo, complaints }) => {
  complaints.allow(/WebSocket connection to|Failed to load resource: net::ERR_CONNECTION_REFUSED/);
  await open(page);
  const { server } = await demo.ask<{ server: { bootId: string } }>("{ server { bootId } }");
  await demo.end();
  await expect(page.getByRole("status").getByText(/^STALE/)).toBeVisible();
  await demo.begin();
  await expect(page.getByRole("status").getByText("LIVE")).toBeVisible();
  const again = await demo.ask<{ server: { bootId: string } }>("{ server { bootId } }");
  expect(again.server.bootId).not.toBe(server.bootId);
});
