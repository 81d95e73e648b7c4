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
  const inForce = async () => (await demo.ask<{ cycle: { privacyClass: string } }>("{ cycle { privacyClass } }")).cycle.privacyClass;
  const before = await inForce();
  expect(before).toBe("RAW");
  await change("Strict, no identity");
  await expect.poll(inForce).toBe("RESTRICTED");
  await expect(page.getByRole("columnheader", { name: /Restricted.*in force/ })).toBeVisible();
  // Zones do not leave now: the server answers none, and the page shows none.
  const { zones } = (await demo.ask<{ cycle: { zones: unknown[] } }>("{ cycle { zones { id } } }")).cycle;
  expect(zones).toEqual([]);
  await page.goto("/#/");
  await expect(page.getByRole("button", { name: /^Why is/ })).toHaveCount(1);
  await page.screenshot({ path: `${RESULTS}room-restricted.png`, fullPage: true });
  await page.goto("/#/privacy");
  await change("Raw research");
  await expect.poll(inForce).toBe("RAW");
});
