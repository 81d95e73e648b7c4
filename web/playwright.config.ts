import { defineConfig } from "@playwright/test";

// Run by `cargo xtask e2e`, which names the built program and the browser. One worker: the tests share one demo, whose
// cycles must keep their time.
export default defineConfig({
  testDir: "e2e",
  outputDir: "e2e/results/failures",
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  forbidOnly: true,
  reporter: [["list"]],
  use: {
    viewport: { width: 1440, height: 900 },
    colorScheme: "light",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.TAPLINE_CHROMIUM ?? "/usr/bin/chromium",
      args: ["--font-render-hinting=none"],
    },
  },
});
