/** GraphiQL as the server gives it out: a subscription typed into it shows poses. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "./demo";

const MODULES = fileURLToPath(new URL("../node_modules/", import.meta.url));

test("GraphiQL follows poses", async ({ page }) => {
  // What unpkg.com would send are the files of these packages; the browser itself compares them with the hashes in the
  // page, so other ones would not run.
  await page.route("https://unpkg.com/**", (route) => {
    const [, name, path] = /^\/([\w-]+)@[\d.]+\/(.+)$/.exec(new URL(route.request().url()).pathname)!;
    return route.fulfill({
      body: readFileSync(`${MODULES}${name}/${path}`),
      contentType: path!.endsWith(".css") ? "text/css" : "text/javascript",
      headers: { "access-control-allow-origin": "*" },
    });
  });
  await page.goto("/graphiql");
  const editor = page.getByRole("region", { name: "Query Editor" }).locator(".CodeMirror").first();
  await editor.click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText("subscription { poses { tick durable quality { score } } }");
  await page.getByRole("button", { name: /^Execute query/ }).click();
  const result = page.getByRole("region", { name: "Result Window" });
  const tick = async () => Number(/"tick": "?(\d+)/.exec((await result.textContent()) ?? "")?.[1] ?? 0);
  await expect.poll(tick).toBeGreaterThan(0);
  const first = await tick();
  await expect.poll(tick).toBeGreaterThanOrEqual(first + 20);
  // The schema was read, too: without it nothing could be completed or looked up.
  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  await expect(page.getByRole("link", { name: "Subscription" })).toBeVisible();
});
