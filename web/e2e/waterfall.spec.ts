/** How old each row of the impulse response is. No browser is needed. */
import { expect, test } from "@playwright/test";
import { Waterfall, type Response } from "../src/plan/waterfall";

const response = (tick: number, stepNs = 5): Response => ({ tick, firstNs: 0, stepNs, powerDb: [-40, -50] });

/** The waterfall after responses at these ticks: each row's tick, and a dash where none came. */
function after(...ticks: number[]): (number | string)[] {
  const it = new Waterfall({} as HTMLCanvasElement);
  for (const tick of ticks) it.take(response(tick));
  return it.rows.map((row) => (row.powerDb.length ? row.tick : "-"));
}

test("cycles without a response leave empty rows, so that older ones stand at their age", () => {
  expect(after(7, 8, 12, 13)).toEqual([13, 12, "-", "-", "-", 8, 7]);
  expect(after(0, 399)).toHaveLength(400);
  expect(after(0, 1, 400)).toEqual([400, ...Array.from({ length: 398 }, () => "-"), 1]);
});

test("after a long gap, and after a restart, nothing of before is left", () => {
  expect(after(1, 2, 402)).toEqual([402]);
  expect(after(10_000, 10_001, 3, 4)).toEqual([4, 3]);
});
