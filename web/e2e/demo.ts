/** The real server with its simulated room, one for all tests of a run; and what every test holds: no error in the
 *  browser's console. */
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test as base, expect, type Page } from "@playwright/test";

/** Where pictures, logs and traces of a run lie. */
export const RESULTS = fileURLToPath(new URL("results/", import.meta.url));

/** The built server; its plugins lie in `plugins/` beside it. */
export const PROGRAM = process.env.TAPLINE_PROGRAM ?? fileURLToPath(new URL("../../target/debug/tapline", import.meta.url));

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export class Demo {
  private child: ChildProcess | undefined;

  private constructor(
    readonly directory: string,
    private readonly http: number,
    private readonly udp: number,
  ) {}

  static async start(): Promise<Demo> {
    const demo = new Demo(mkdtempSync(join(tmpdir(), "tapline-e2e-")), await free(), await free());
    await demo.begin();
    return demo;
  }

  get url(): string {
    return `http://127.0.0.1:${this.http}`;
  }

  /** Starts the server on the data of the run before, if there is any. */
  async begin(): Promise<void> {
    mkdirSync(RESULTS, { recursive: true });
    const log = createWriteStream(join(RESULTS, "server.log"), { flags: "a" });
    const { LD_LIBRARY_PATH: _, ...env } = process.env;
    const child = spawn(
      PROGRAM,
      [
        "demo",
        `--http=127.0.0.1:${this.http}`,
        `--udp=127.0.0.1:${this.udp}`,
        `--data-dir=${join(this.directory, "data")}`,
        // So that nothing is left running when the tests are killed.
        "--seconds=600",
      ],
      { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] },
    );
    child.stdout!.pipe(log, { end: false });
    child.stderr!.pipe(log, { end: false });
    this.child = child;
    const until = Date.now() + 30_000;
    while (Date.now() < until) {
      if (child.exitCode !== null) throw new Error(`the demo ended with ${child.exitCode}: see ${RESULTS}server.log`);
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`the demo ran no cycle within 30 s: see ${RESULTS}server.log`);
  }

  /** Ends the server as an operator would. */
  async end(): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    const hard = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await ended;
    clearTimeout(hard);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Asks the server itself, past the page. */
  async ask<T>(query: string): Promise<T> {
    const response = await fetch(`${this.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
    });
    const { data, errors } = (await response.json()) as { data: T; errors?: { message: string }[] };
    if (errors?.[0]) throw new Error(errors[0].message);
    return data;
  }
}

async function free(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** What the browser complained about. */
export class Complaints {
  private readonly all: string[] = [];
  private readonly allowed: RegExp[] = [];

  constructor(page: Page) {
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && this.all.push(`${m.type()}: ${m.text()}`));
    page.on("pageerror", (e) => this.all.push(`exception: ${e.stack ?? e.message}`));
  }

  /** A test that stops the server allows for the browser's own line about it. */
  allow(line: RegExp): void {
    this.allowed.push(line);
  }

  check(): void {
    expect(this.all.filter((line) => !this.allowed.some((a) => a.test(line)))).toEqual([]);
  }
}

export const test = base.extend<{ complaints: Complaints }, { demo: Demo }>({
  demo: [
    async ({}, use) => {
      await using demo = await Demo.start();
      await use(demo);
    },
    { scope: "worker", timeout: 60_000 },
  ],
  baseURL: async ({ demo }, use) => use(demo.url),
  complaints: [
    async ({ page }, use) => {
      const complaints = new Complaints(page);
      await use(complaints);
      complaints.check();
    },
    { auto: true },
  ],
});

/** Opens a view and waits until it shows live data. */
export async function open(page: Page, view = ""): Promise<void> {
  await page.goto(`/#/${view}`);
  await expect(page.getByRole("status").getByText("LIVE")).toBeVisible();
}

export { expect };
