/** The first view a newcomer sees: people move, and it comes back by itself. */
import type { Page } from "@playwright/test";
import sharp from "sharp";
import type { Site } from "../src/live/site";
import { frame, type Point } from "../src/plan/frame";
import { expect, open, test, type Demo } from "./demo";

/** Who is where, as the table says, metres. */
async function people(page: Page): Promise<Map<string, Point>> {
  const rows = await page
    .getByRole("region", { name: "People, live table" })
    .locator("tbody tr")
    .evaluateAll((all) =>
      all.map((row) => [row.querySelector("th")!.textContent!, ...[...row.querySelectorAll("td.number")].map((d) => d.textContent!)]),
    );
  const known = rows.map(([id, x, y]) => [id!, { x: Number.parseFloat(x!), y: Number.parseFloat(y!) }] as const);
  return new Map(known.filter(([, at]) => Number.isFinite(at.x) && Number.isFinite(at.y)));
}

const apart = (a: Point, b: Point) => Math.hypot(a.x - b.x, a.y - b.y);

test("people move", async ({ page }) => {
  test.setTimeout(180_000);
  await open(page);
  const first = new Map<string, Point>();
  // How far anybody has come from where they were first seen. A trembling estimate is not half a metre.
  const way = async () => {
    let most = 0;
    for (const [id, at] of await people(page)) {
      if (!first.has(id)) first.set(id, at);
      most = Math.max(most, apart(first.get(id)!, at));
    }
    return most;
  };
  await expect.poll(way, { timeout: 150_000 }).toBeGreaterThan(0.5);
});

/** The middle of what is drawn on the canvases of people, metres; nothing when it is little. */
async function drawn(page: Page, demo: Demo): Promise<Point | undefined> {
  const plan = page.locator(".plan");
  const look = async () => sharp(await plan.screenshot()).raw().toBuffer({ resolveWithObject: true });
  // They are the last two (src/plan/plan.tsx). The same picture without them: what differs is people.
  const show = (visibility: string) =>
    plan.locator("canvas").evaluateAll((all, v) => all.slice(-2).forEach((c) => ((c as HTMLElement).style.visibility = v)), visibility);
  const { data, info } = await look();
  await show("hidden");
  const without = await look();
  await show("");
  let [x, y, pixels] = [0, 0, 0];
  for (let i = 0; i < data.length; i += info.channels) {
    const differs = [0, 1, 2].some((k) => Math.abs(data[i + k]! - without.data[i + k]!) > 24);
    if (!differs) continue;
    const pixel = i / info.channels;
    x += pixel % info.width;
    y += Math.floor(pixel / info.width);
    pixels++;
  }
  if (pixels < 100) return undefined;
  const site = await demo.ask<Site>("{ site { rooms { outline { x y } } } nodes { x y } }");
  const { width, height } = await plan.evaluate((e) => ({ width: e.clientWidth, height: e.clientHeight }));
  return frame(site, width, height).floor(x / pixels, y / pixels);
}

test("people are drawn where they are", async ({ page, demo }) => {
  test.setTimeout(180_000);
  await open(page);
  await expect.poll(async () => (await people(page)).size, { timeout: 120_000 }).toBe(1);
  // Without figures, which rise from the floor, a person is a disc in an ellipse around its place.
  for (const layer of ["Image", "Links", "Trails", "Figures", "Truth"]) await page.getByRole("button", { name: layer, exact: true }).click();
  const off = async () => {
    const [before] = (await people(page)).values();
    const at = await drawn(page, demo);
    const [after, another] = (await people(page)).values();
    if (!before || !after || another || !at) return Number.POSITIVE_INFINITY;
    // Between the picture and the table somebody walks on.
    return apart(at, { x: (before.x + after.x) / 2, y: (before.y + after.y) / 2 });
  };
  await expect.poll(off, { timeout: 60_000 }).toBeLessThan(0.4);
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
