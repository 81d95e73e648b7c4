/** Questions that are asked until they are answered. No browser is needed. */
import { expect, test } from "@playwright/test";
import type { Site } from "../src/live/site";
import { Latest } from "../src/live/latest";
import { shape } from "../src/plan/shape";

test("an answer to an older question is dropped", async () => {
  const answers: ((text: string) => void)[] = [];
  const took: string[] = [];
  const it = new Latest(() => new Promise<string>((done) => answers.push(done)), (text) => took.push(text), () => {});
  it.begin();
  it.begin();
  answers[1]!("new");
  answers[0]!("old");
  await new Promise((done) => setTimeout(done, 0));
  expect(took).toEqual(["new"]);
});

test("what fails is said and asked again, until it is stopped", async () => {
  const took: string[] = [];
  let asked = 0;
  let failed = 0;
  const ask = async () => {
    if (++asked === 1) throw new Error("not yet");
    return "there";
  };
  const it = new Latest(ask, (text) => took.push(text), () => failed++);
  it.begin();
  await expect.poll(() => took, { timeout: 5_000 }).toEqual(["there"]);
  expect([asked, failed]).toEqual([2, 1]);
  asked = 0;
  it.begin();
  it.stop();
  await new Promise((done) => setTimeout(done, 1_200));
  expect([asked, took.length]).toEqual([1, 1]);
});

test("the plan is made anew when what it draws changes, not when the process does", () => {
  const site = (bootId: string, x: number) =>
    ({
      server: { bootId },
      site: { rooms: [], zones: [], doors: [] },
      nodes: [{ id: 1, x, y: 0 }],
      links: [],
      demo: null,
    }) as unknown as Site;
  expect(shape(site("a", 1))).toBe(shape(site("b", 1)));
  expect(shape(site("a", 1))).not.toBe(shape(site("a", 2)));
});
