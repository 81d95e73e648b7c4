/** The mode is changed through the page: less leaves at once, from the page too, and the log says so. */
import { expect, open, RESULTS, test } from "./demo";

test("a stricter mode takes people off the page, and a looser one brings them back", async ({ page, demo }) => {
  await open(page, "privacy");
  const change = async (name: string) => {
    await page.getByRole("button", { name: `Change… to ${name}` }).click();
    const dialog = page.getByRole("dialog");
    await expect(dialog).toContainText("CONFIG leaf");
    await page.screenshot({ path: `${RESULTS}privacy-ask.png` });
    await dialog.getByRole("button", { name: "Change the mode" }).click();
    await expect(dialog).toBeHidden();
  };
  // The mode, and the class it gives: contradictions may make that stricter, for example on a machine that is busy.
  const inForce = async () => {
    const { cycle } = await demo.ask<{ cycle: { privacyMode: string; privacyClass: string } }>("{ cycle { privacyMode privacyClass } }");
    return `${cycle.privacyMode} ${cycle.privacyClass}`;
  };
  expect(await inForce()).toMatch(/^RAW_RESEARCH (RAW|DERIVED|ANONYMOUS)$/);
  await change("Strict, no identity");
  await expect.poll(inForce).toBe("STRICT_NO_IDENTITY RESTRICTED");
  await expect(page.getByRole("columnheader", { name: /Restricted.*in force/ })).toBeVisible();
  // Zones do not leave now: the server answers none, and the page shows none.
  const { zones } = (await demo.ask<{ cycle: { zones: unknown[] } }>("{ cycle { zones { id } } }")).cycle;
  expect(zones).toEqual([]);
  await page.goto("/#/");
  await expect(page.getByRole("button", { name: /^Why is/ })).toHaveCount(1);
  await page.screenshot({ path: `${RESULTS}room-restricted.png`, fullPage: true });
  await page.goto("/#/privacy");
  await change("Raw research");
  await expect.poll(inForce).toMatch(/^RAW_RESEARCH (RAW|DERIVED|ANONYMOUS)$/);
});
