/** How strong the image of the room is drawn, when it is too old, and why there is none. No browser is needed. */
import { expect, test } from "@playwright/test";
import type { Cycle } from "../src/live/cycle";
import { FLOOR, Heat, type Image } from "../src/plan/heat";
import { outdated, whyNoImage } from "../src/plan/picture";

const image = (...mean: number[]) => ({ nx: mean.length, ny: 1, mean }) as unknown as Image;

test("the noise of an empty room does not rise to full colour", () => {
  const heat = new Heat({} as OffscreenCanvas);
  for (let i = 0; i < 1_000; i++) heat.take(image(0.1, 0.6, -0.4));
  expect(heat.top).toBe(FLOOR);
  heat.take(image(0.1, 12));
  expect(heat.top).toBe(12);
  for (let i = 0; i < 1_000; i++) heat.take(image(0.1));
  expect(heat.top).toBe(FLOOR);
});

test("an image that lies behind the cycles, or comes from another process, is old", () => {
  expect([100, 102, 110].map((tick) => outdated(100, tick))).toEqual([false, false, false]);
  expect(outdated(100, 111)).toBe(true);
  // The process was restarted: its ticks begin anew.
  expect(outdated(100_000, 3)).toBe(true);
});

const cycle = (disposition: string, more: object = {}) =>
  ({ privacyClass: "RAW", gateReason: "NONE", presence: { reason: "QUIET" }, stages: [{ stage: "tomography", disposition }], ...more }) as unknown as Cycle;

test("the reason is said where one is known", () => {
  expect(whyNoImage(undefined)).toBeUndefined();
  expect(whyNoImage(cycle("RAN", { privacyClass: "ANONYMOUS" }))).toContain("privacy class");
  expect(whyNoImage(cycle("SKIPPED", { gateReason: "NO_INPUT" }))).toBe("no frames arrive");
  expect(whyNoImage(cycle("SKIPPED", { presence: { reason: "NOT_CALIBRATED" } }))).toBe("the empty room was not learned yet");
  expect(whyNoImage(cycle("SKIPPED"))).toContain("no link");
  // While the empty room is learned the stage runs, and has nothing to compare with.
  expect(whyNoImage(cycle("RAN", { presence: { reason: "NOT_CALIBRATED" } }))).toBe("the empty room was not learned yet");
  expect(whyNoImage(cycle("RAN"))).toContain("too few links");
  expect(whyNoImage(cycle("TIMEOUT"))).toContain("late");
  expect(whyNoImage(cycle("PANIC"))).toContain("failed");
  expect(whyNoImage(cycle("RAN", { stages: null }))).toBeUndefined();
});
