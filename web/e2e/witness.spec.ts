/** A proof is taken through the page, and the command line checks it. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, open, PROGRAM, test } from "./demo";

test("a bundle downloaded through the page is verified by the command line", async ({ page, demo, complaints }) => {
  await open(page, "witness");
  await page.getByLabel("The last").selectOption("10 seconds");
  // While what was sensed contradicts itself the class is stricter for seconds, and looser cycles do not leave then.
  complaints.allow(/status of 403/);
  const ask = async () => {
    const saved = page.waitForEvent("download", { timeout: 4_000 });
    await page.getByRole("button", { name: /^Download [\d,]+ leaves/ }).click();
    return saved;
  };
  const download = await ask().catch(() => page.waitForTimeout(8_000).then(ask));
  const bundle = join(demo.directory, "e2e.bundle");
  await download.saveAs(bundle);
  await expect(page.getByText(/^Saved tapline-/)).toBeVisible();

  // The policy comes from the server's own disk, not from what was downloaded.
  const policy = join(demo.directory, "policy.txt");
  const { LD_LIBRARY_PATH: _, ...env } = process.env;
  const tapline = (...words: string[]) => execFileSync(PROGRAM, words, { env, encoding: "utf8", timeout: 60_000 });
  writeFileSync(policy, tapline("bundle", "policy", "--data-dir", join(demo.directory, "data")));
  const report = JSON.parse(tapline("verify", bundle, "--policy", policy, "--json"));
  console.log(`    verified ${readFileSync(bundle).length} bytes: ${JSON.stringify(report).slice(0, 300)}`);
  // One bit in the middle is enough to be found out.
  const bytes = readFileSync(bundle);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(bundle, bytes);
  expect(() => tapline("verify", bundle, "--policy", policy)).toThrow();
});

test("a leaf is shown in full", async ({ page }) => {
  await open(page, "witness");
  await page.getByLabel("Number").fill("0");
  await page.getByRole("button", { name: "Look at it" }).click();
  await expect(page.getByText(/^0, GENESIS/)).toBeVisible();
});
