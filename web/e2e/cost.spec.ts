/** What the page costs, by Chromium's own counters; measured and written by `cargo xtask e2e --update-pictures` only, on a
 *  machine that does nothing else. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { LARGEST, scriptBytes } from "./assets";
import { expect, open, test } from "./demo";

const PAGE = fileURLToPath(new URL("../../docs/benchmarks/page.md", import.meta.url));
const SECONDS = 20;

interface Process {
  type: string;
  cpuTime: number;
}

// A trace films the page, which costs a multiple of the page itself.
test.use({ trace: "off" });

test("the page draws sixty times a second and leaves the core alone", async ({ page, browser }) => {
  test.skip(!process.env.TAPLINE_UPDATE_PICTURES, "measured with --update-pictures only");
  test.setTimeout(240_000);
  await open(page);
  // Somebody is there: a figure with its trail and the image are drawn.
  await expect(page.locator("table tbody tr").first().locator("td.number").first()).toBeVisible({ timeout: 120_000 });
  const of = await browser.newBrowserCDPSession();
  const inside = await page.context().newCDPSession(page);
  await inside.send("Performance.enable", { timeDomain: "timeTicks" });
  const counters = async () => {
    const { metrics } = await inside.send("Performance.getMetrics");
    const value = (name: string) => metrics.find((m) => m.name === name)!.value;
    const { processInfo } = (await of.send("SystemInfo.getProcessInfo")) as unknown as { processInfo: Process[] };
    const cpu = (type: string) => processInfo.filter((p) => p.type === type).reduce((sum, p) => sum + p.cpuTime, 0);
    return {
      at: value("Timestamp"),
      tasks: value("TaskDuration"),
      script: value("ScriptDuration"),
      layout: value("LayoutDuration") + value("RecalcStyleDuration"),
      heap: value("JSHeapUsedSize"),
      renderer: cpu("renderer"),
      gpu: cpu("GPU"),
    };
  };
  const measured = async (during: () => Promise<unknown>) => {
    const begin = await counters();
    await during();
    const end = await counters();
    const share = (name: "tasks" | "script" | "layout" | "renderer" | "gpu") => (100 * (end[name] - begin[name])) / (end.at - begin.at);
    return { share, heap: end.heap };
  };
  // What the page costs by itself.
  const { share, heap } = await measured(() => page.waitForTimeout(SECONDS * 1_000));
  // The same, while something in the page asks for every frame: that alone makes the main thread run at every frame.
  const asked = await measured(() =>
    page.evaluate(
      (ms) =>
        new Promise<void>((done) => {
          const begun = performance.now();
          const frame = () => (performance.now() - begun < ms ? requestAnimationFrame(frame) : done());
          requestAnimationFrame(frame);
        }),
      SECONDS * 1_000,
    ),
  );
  // What the browser really drew: its compositor draws a frame only when something in it changed. Somebody is there and moves.
  await browser.startTracing(page, { categories: ["viz"] });
  await page.waitForTimeout(SECONDS * 500);
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: { name: string; ts: number }[] };
  const drawn = traceEvents.filter((e) => e.name === "DirectRenderer::DrawFrame").map((e) => e.ts / 1_000).sort((a, b) => a - b);
  const fps = ((drawn.length - 1) * 1_000) / (drawn.at(-1)! - drawn[0]!);
  const gaps = drawn.slice(1).map((t, i) => t - drawn[i]!);
  const late = gaps.filter((gap) => gap > 25).length;
  const bytes = scriptBytes();

  const kept = (ok: boolean) => (ok ? "yes" : "no");
  const percent = (value: number) => `${value.toFixed(1)} %`;
  const rows: [string, string, string, string][] = [
    ["frames drawn a second", fps.toFixed(1), "60", kept(fps > 59)],
    ["frames that came more than 25 ms after the one before", `${late} of ${gaps.length}`, "", ""],
    ["the page's main thread, share of one core", percent(share("tasks")), "15 %", kept(share("tasks") < 15)],
    ["of it in scripts", percent(share("script")), "", ""],
    ["of it in layout and styles", percent(share("layout")), "", ""],
    ["the page's whole process, all its threads, share of one core", percent(share("renderer")), "15 %", kept(share("renderer") < 15)],
    ["main thread, while a probe in it asks for every frame", percent(asked.share("tasks")), "", ""],
    ["whole process, with that probe", percent(asked.share("renderer")), "", ""],
    ["Chromium's GPU process, which here draws in software", percent(share("gpu")), "", ""],
    ["memory of scripts", `${(heap / 1e6).toFixed(1)} MB`, "", ""],
    ["scripts, gzipped", `${(bytes / 1e3).toFixed(1)} kB`, "250 kB", kept(bytes <= LARGEST)],
  ];
  const table = rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  console.log(table);
  // What people wrote below the table stays.
  const below = readFileSync(PAGE, "utf8").split(/^(?=## )/m).slice(1).join("");
  writeFileSync(
    PAGE,
    `# The live page\n\n\`cargo xtask e2e --update-pictures\`, on ${cpus()[0]!.model} with ${cpus().length} cores, Chromium ${browser.version()}, without a\n` +
      `GPU; server (debug build), simulated room and browser share the machine. ${SECONDS} s of the view Room, 1440 x 900, 20 cycles a second,\n` +
      `with image, links, trails and figures of who is there. Times are Chromium's own: \`Performance.getMetrics\` of the page,\n` +
      `\`SystemInfo.getProcessInfo\` of its processes; frames are those its compositor drew (trace category \`viz\`).\n\n` +
      `| what | measured | limit | kept |\n|---|---:|---:|---|\n${table}\n\n${below}`,
  );
  expect(fps).toBeGreaterThan(59);
  expect(share("tasks")).toBeLessThan(15);
  expect(share("renderer")).toBeLessThan(15);
});
