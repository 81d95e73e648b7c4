/** The time axis under one finger and under two. No browser is needed. */
import { expect, test } from "@playwright/test";
import { held, touch } from "../src/views/fingers";

const LIMITS = [5_000, 1_000_000] as const;
const WIDTH = 1_000;
const at = (...xs: number[]) => touch(xs.map((x) => ({ x, y: 0 })));

test("one finger moves", () => {
  const grip = { ...at(500), span: 60_000, to: 1_000_000 };
  expect(held(grip, at(600), WIDTH, LIMITS)).toEqual({ span: 60_000, to: 994_000 });
});

test("two fingers stretch, and what was under their middle stays there", () => {
  const grip = { ...at(400, 600), span: 60_000, to: 1_000_000 };
  const middle = grip.to - grip.span / 2;
  const { span, to } = held(grip, at(300, 700), WIDTH, LIMITS);
  expect(span).toBe(30_000);
  expect(to - span / 2).toBe(middle);
  // Apart and to the side at once.
  const moved = held(grip, at(500, 900), WIDTH, LIMITS);
  expect(moved.to - moved.span * (1 - 0.7)).toBe(middle);
});

test("no span is shorter or longer than allowed", () => {
  const grip = { ...at(490, 510), span: 60_000, to: 1_000_000 };
  expect(held(grip, at(0, 1_000), WIDTH, LIMITS).span).toBe(LIMITS[0]);
  expect(held({ ...at(0, 1_000), span: 60_000, to: 1_000_000 }, at(500, 501), WIDTH, LIMITS).span).toBe(LIMITS[1]);
});
