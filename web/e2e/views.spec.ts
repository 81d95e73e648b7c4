/** Every view: shows something, is accessible in both colour schemes, fits a phone; a picture of each is kept. */
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, open, RESULTS, test } from "./demo";

/** What each view says once it has data. */
const VIEWS: Record<string, (page: Page) => Promise<void>> = {
  "": async (page) => {
    await expect(page.locator(".plan canvas").first()).toBeVisible();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(/Nobody|Somebody|person|people|Not known/);
  },
  timeline: async (page) => {
    await expect(page.getByRole("row", { name: /Whole site/ })).toBeVisible();
  },
  channel: async (page) => {
    await expect(page.getByRole("button", { name: /1 → 2/ })).toContainText("%");
  },
  cycle: async (page) => {
    await expect(page.getByRole("row", { name: /Impulse response/ })).toContainText("15 ms");
  },
  nodes: async (page) => {
    await expect(page.getByText("4 of 4 do well.")).toBeVisible();
  },
  plugins: async (page) => {
    await expect(page.locator(".card").first()).toContainText(/cir-(fft|dense) \d/);
  },
  privacy: async (page) => {
    await expect(page.getByRole("columnheader", { name: /in force/ })).toBeVisible();
  },
  witness: async (page) => {
    await expect(page.getByText(/[\d,]+ leaves$/).first()).toBeVisible();
  },
};

/** Serious and critical faults; what is less is listed in the test's output. */
async function accessible(page: Page, what: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  const faults = violations.flatMap((v) => v.nodes.map((n) => `${v.impact} ${v.id}: ${n.html.slice(0, 160)} (${n.failureSummary})`));
  for (const fault of faults) console.log(`    axe, ${what}: ${fault}`);
  expect(violations.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => v.id), what).toEqual([]);
}

for (const [view, shows] of Object.entries(VIEWS)) {
  const name = view || "room";
  test(`view ${name}`, async ({ page }) => {
    test.setTimeout(120_000);
    await open(page, view);
    await shows(page);
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      await accessible(page, `${name}, ${scheme}`);
      await page.screenshot({ path: `${RESULTS}${name}-${scheme}.png`, fullPage: true });
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 390, height: 844 });
    await shows(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(over, "pixels that stick out to the right of a phone").toBe(0);
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      await accessible(page, `${name}, phone, ${scheme}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    // What may leave belongs to what is shown, also where there is little room.
    await expect(page.locator(".states .chip.plain")).toBeVisible();
    await page.screenshot({ path: `${RESULTS}${name}-phone.png`, fullPage: true });
  });
}

/** Views that ask before they do something, and the button that makes them ask. */
const DIALOGS: Record<string, RegExp> = { plugins: /^Exchange…/, privacy: /^Change… to/ };

for (const [view, button] of Object.entries(DIALOGS)) {
  test(`the dialog of the view ${view}`, async ({ page }) => {
    test.setTimeout(120_000);
    await open(page, view);
    await page.getByRole("button", { name: button }).first().click();
    await expect(page.getByRole("dialog")).toBeVisible();
    for (const [size, width] of [["desk", 1440], ["phone", 390]] as const) {
      await page.setViewportSize({ width, height: 844 });
      for (const scheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        await accessible(page, `dialog of ${view}, ${size}, ${scheme}`);
      }
    }
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toBeHidden();
  });
}

test("the keyboard is enough", async ({ page }) => {
  await open(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("main")).toBeFocused();
  // The first control of the room: a layer, which a key switches off and on.
  await page.keyboard.press("Tab");
  const image = page.getByRole("button", { name: "Image" });
  await expect(image).toBeFocused();
  await page.keyboard.press("Space");
  await expect(image).toHaveAttribute("aria-pressed", "false");
  await page.keyboard.press("Space");
  // Another view begins at its top.
  await page.getByRole("link", { name: "Timeline" }).press("Enter");
  await expect(page.getByRole("main")).toBeFocused();
  await expect(page).toHaveTitle(/^Timeline/);
  await page.getByRole("application").press("+");
  await expect(page.getByRole("button", { name: "1 min" })).toHaveAttribute("aria-pressed", "false");
});

test("why an area is as it is", async ({ page }) => {
  await open(page);
  await page.getByRole("button", { name: /^Why is Living/ }).click();
  const trace = page.locator(".trace");
  await expect(trace).toContainText(/state \w+ because \w+, since tick \d+/);
  await expect(trace).toContainText(/covering links/);
});
