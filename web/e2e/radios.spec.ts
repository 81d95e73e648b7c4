/** What the server says of radios, their places, clocks and links is on the page, where a reader looks for it. */
import { expect, open, RESULTS, test } from "./demo";

interface Told {
  nodes: { id: number; name: string; placement: { hint: string }; clockQuality: { state: string; reason: string; spreadUs: number | null } | null }[];
  site: { rooms: { id: string; geometry: { medianErrorM: number; located: number; newNode: { medianErrorM: number } | null } }[] };
  links: { path: number; tx: number; rx: number; drift: { kind: string; sigma: number | null } | null }[];
}

const QUESTION = `{ nodes { id name placement { hint } clockQuality { state reason spreadUs } }
  site { rooms { id geometry { medianErrorM located newNode { medianErrorM } } } }
  links { path tx rx drift { kind sigma } } }`;

const WORDS: Record<string, string> = {
  DRIFTING: "drifting",
  SLOW: "drifted away",
  STABLE: "as calibrated",
  STEP: "stepped",
  UNKNOWN: "not known",
};

test("places, clocks and drift are shown as the server tells them", async ({ page, demo }) => {
  await open(page, "nodes");
  const told = await demo.ask<Told>(QUESTION);
  expect(told.nodes).toHaveLength(4);
  for (const { name, placement } of told.nodes) {
    const card = page.locator(".card").filter({ has: page.getByRole("heading", { name }) });
    await expect(card).toContainText(placement.hint);
    // A clock is known after eight seconds; the word for it and its figure change together.
    await expect
      .poll(async () => {
        const { clockQuality: clock } = (await demo.ask<Told>(QUESTION)).nodes.find((n) => n.name === name)!;
        const text = await card.innerText();
        if (!clock) return "no clock yet";
        const used = { ADMIT: "used to compare radios", MONITOR_ONLY: "watched, not used", REJECT: "not used" }[clock.state]!;
        return text.includes(`: ${used}`) && text.includes("±") === (clock.spreadUs != null) ? "as told" : `${text} against ${JSON.stringify(clock)}`;
      })
      .toBe("as told");
  }

  const rooms = page.getByRole("region", { name: "Least position error in each room" });
  const [room] = told.site.rooms;
  const row = rooms.getByRole("row").nth(1);
  await expect(row).toContainText(`${room!.geometry.medianErrorM.toFixed(2)}\u202fm`);
  await expect(row).toContainText(`${(100 * room!.geometry.located).toFixed(0)} %`);
  const another = room!.geometry.newNode;
  await expect(row).toContainText(another ? `${another.medianErrorM.toFixed(2)}\u202fm` : "would add little");

  const drift = page.getByRole("region", { name: "Drift of each link, live table" });
  await expect(drift.getByRole("row")).toHaveCount(5);
  const link = told.links.find((l) => l.tx === 1 && l.rx === 2)!;
  // Of link 1 to 2: the first row, the second receiver.
  const cell = drift.getByRole("row").nth(1).getByRole("cell").nth(1);
  const kind = async () => {
    const { links } = await demo.ask<Told>(QUESTION);
    const { drift } = links.find((l) => l.path === link.path)!;
    return WORDS[drift?.sigma == null ? "UNKNOWN" : drift.kind]!;
  };
  await expect.poll(async () => (await cell.textContent())!.includes(await kind())).toBe(true);
  await page.screenshot({ path: `${RESULTS}nodes-places.png`, fullPage: true });

  await page.goto("/#/channel");
  await page.getByRole("button", { name: /1 → 2/ }).click();
  const said = page.locator("dt", { hasText: /^Drift$/ }).locator("xpath=following-sibling::dd[1]");
  await expect
    .poll(async () => {
      const { links } = await demo.ask<Told>(QUESTION);
      const { drift } = links.find((l) => l.path === link.path)!;
      return (await said.textContent())!.startsWith(drift ? WORDS[drift.kind]! : "–");
    })
    .toBe(true);
});
