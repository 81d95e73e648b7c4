/** The timeline goes further back than the single cycles the page has seen. */
import { expect, open, RESULTS, test, type Demo } from "./demo";

interface Told {
  history: { points: { movingS: number; stillS: number; emptyS: number; unknownS: number }[] };
}

/** Seconds of the whole site that the server has added up. */
async function summed(demo: Demo): Promise<number> {
  const from = new Date(Date.now() - 3_600_000).toISOString();
  const { history } = await demo.ask<Told>(
    `{ history(from: "${from}", level: SECOND, points: 10000) { points { movingS stillS emptyS unknownS } } }`,
  );
  return history.points.reduce((sum, p) => sum + p.movingS + p.stillS + p.emptyS + p.unknownS, 0);
}

test("an hour and a year are shown from what the server adds up", async ({ page, demo }) => {
  await expect.poll(() => summed(demo), { timeout: 40_000 }).toBeGreaterThan(12);
  // Without the single cycles of the last minutes, all that lies before this moment comes from sums.
  await page.route("**/graphql", (route) =>
    route.request().postData()?.includes("query Past")
      ? route.fulfill({ json: { errors: [{ message: "kept back by the test" }] } })
      : route.fallback(),
  );
  await open(page, "timeline");
  // This server has run for minutes only: there are no hours and days yet, and of a year seconds are what it has.
  for (const [span, bar] of [["1 h", /one bar a (second|minute)\./], ["1 year", /one bar a second\./]] as const) {
    await page.getByRole("button", { name: span, exact: true }).click();
    await expect(page.getByText(bar)).toBeVisible();
    await page.screenshot({ path: `${RESULTS}timeline-${span.replace(" ", "-")}.png`, fullPage: true });
  }
  // What the table says is what the server says, to within what happens meanwhile.
  const cells = page.getByRole("row", { name: /Whole site/ }).getByRole("cell");
  const seconds = (text: string) =>
    [...text.matchAll(/([\d.]+)\s*(h|min|s)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * { h: 3_600, min: 60, s: 1 }[unit!]!, 0);
  const shown = async () => (await cells.allTextContents()).slice(0, 4).reduce((sum, text) => sum + seconds(text), 0);
  await expect.poll(async () => Math.abs((await shown()) - (await summed(demo)))).toBeLessThan(8);
  console.log(`    ${await shown()} s known on the page, ${(await summed(demo)).toFixed(0)} s in the server`);
});

test("a connection that is dead without an end is replaced, and what it missed is told by sums", async ({ page }) => {
  test.setTimeout(120_000);
  // The first connection goes dead: nothing comes through it any more, and nobody closes it.
  let dead = false;
  let sockets = 0;
  await page.routeWebSocket("**/graphql/ws", (here) => {
    const first = ++sockets === 1;
    const there = here.connectToServer();
    here.onMessage((message) => !(first && dead) && there.send(message));
    there.onMessage((message) => !(first && dead) && here.send(message));
  });
  await open(page, "timeline");
  dead = true;
  await expect(page.getByRole("status").getByText(/^STALE/)).toBeVisible();
  // A ping goes out after ten seconds at most, and is waited for five more.
  await expect(page.getByRole("status").getByText("LIVE")).toBeVisible({ timeout: 30_000 });
  expect(sockets).toBe(2);
  // More than ten seconds are missing of the last minute; the table knows them all the same.
  await page.getByRole("button", { name: "1 min", exact: true }).click();
  await expect(page.getByText(/one bar a second\./)).toBeVisible();
  const missing = page.getByRole("row", { name: /Whole site/ }).getByRole("cell").last();
  await expect.poll(async () => Number.parseInt((await missing.textContent())!), { timeout: 20_000 }).toBeLessThan(5);
});
