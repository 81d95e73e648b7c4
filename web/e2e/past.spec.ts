/** What single cycles cover, what they leave open, and what a class takes back. No browser is needed. */
import { expect, test } from "@playwright/test";
import { Diary, keysOf, type Said } from "../src/live/diary";
import type { Site } from "../src/live/site";
import { holes, putBefore, within, type Stretch } from "../src/live/spans";
import { marks } from "../src/plan/marks";

const stretch = (from: number, to: number): Stretch => ({ from, to });

test("holes are what no cycle covers, save the time from one cycle to the next", () => {
  const spans = [stretch(1_000, 5_000), stretch(5_050, 9_000), stretch(20_000, 30_000)];
  expect(holes(spans, stretch(0, 40_000))).toEqual([stretch(0, 1_000), stretch(9_000, 20_000), stretch(30_000, 40_000)]);
  expect(holes(spans, stretch(2_000, 8_000))).toEqual([]);
  expect(holes(spans, stretch(12_000, 13_000))).toEqual([stretch(12_000, 13_000)]);
  expect(holes([], stretch(0, 10_000))).toEqual([stretch(0, 10_000)]);
});

test("a sum counts where no cycles are, also when it reaches over a hole's edges", () => {
  const open = [stretch(0, 1_000), stretch(9_000, 20_000)];
  expect(within(stretch(0, 60_000), open)).toEqual(open);
  expect(within(stretch(19_000, 21_000), open)).toEqual([stretch(19_000, 20_000)]);
  expect(within(stretch(2_000, 3_000), open)).toEqual([]);
});

test("what was before is put in front, without doubling what is known", () => {
  const known = [stretch(10_000, 12_000)];
  putBefore(known, [stretch(0, 5_000), stretch(8_000, 9_950)]);
  expect(known).toEqual([stretch(0, 5_000), stretch(8_000, 10_000), stretch(10_000, 12_000)]);
  putBefore(known, [stretch(3_000, 11_000)]);
  expect(known).toHaveLength(3);
});

/** A cycle with one room and, unless the class holds it back, one zone. */
function said(tMs: number, zone = true): Said {
  const area = (id: string) => ({ id, name: id, presence: { state: "EMPTY" as const } });
  return { tMs, people: zone ? 1 : null, presence: { state: "EMPTY" }, rooms: [area("room")], zones: zone ? [area("bed")] : [] } as Said;
}

test("a restricted class takes back zones and counts, and leaves rooms", () => {
  const it = new Diary();
  for (let t = 0; t <= 10_000; t += 50) it.take(said(t));
  it.restrict();
  expect(it.lanes.map((l) => l.key)).toEqual(["site", "1 room"]);
  expect(it.counts).toEqual([]);
  for (let t = 10_050; t <= 20_000; t += 50) it.take(said(t, false));
  expect(it.lanes[0]!.spans).toEqual([{ from: 0, to: 20_000, state: "EMPTY" }]);
  // The class loosens: the past comes again, and only what is missing is taken of it.
  it.take(said(20_050));
  it.front(Array.from({ length: 201 }, (_, i) => said(50 * i)));
  expect(it.lanes.map((l) => l.key)).toEqual(["site", "1 room", "2 bed"]);
  expect(it.lanes[2]!.spans).toEqual([
    { from: 0, to: 10_000, state: "EMPTY" },
    { from: 20_050, to: 20_050, state: "EMPTY" },
  ]);
  expect(it.lanes[0]!.spans).toEqual([{ from: 0, to: 20_050, state: "EMPTY" }]);
});

test("a wall clock that is set back leaves what comes then, ascending", () => {
  const it = new Diary();
  const at = (tMs: number, state: "EMPTY" | "OCCUPIED_STILL") => it.take({ ...said(tMs), presence: { state } });
  for (let t = 0; t <= 20_000; t += 50) at(t, t < 10_000 ? "EMPTY" : "OCCUPIED_STILL");
  // By five seconds: one span is cut.
  for (let t = 15_000; t <= 16_000; t += 50) at(t, "EMPTY");
  expect(it.lanes[0]!.spans).toEqual([
    { from: 0, to: 10_000, state: "EMPTY" },
    { from: 10_000, to: 15_000, state: "OCCUPIED_STILL" },
    { from: 15_000, to: 16_000, state: "EMPTY" },
  ]);
  // By more: what lies behind goes, and so it does where nothing lies before.
  at(5_000, "EMPTY");
  expect(it.lanes[0]!.spans).toEqual([{ from: 0, to: 5_000, state: "EMPTY" }]);
  at(-60_000, "EMPTY");
  expect(it.lanes[0]!.spans).toEqual([{ from: -60_000, to: -60_000, state: "EMPTY" }]);
  expect(it.counts).toEqual([{ from: -60_000, to: -60_000, people: 1 }]);
});

test("areas that are no longer configured have no lane", () => {
  const it = new Diary();
  const cycle = said(0);
  const unnamed = { ...cycle.rooms[0]!, id: null, name: null };
  it.take({ ...cycle, rooms: [...cycle.rooms, unnamed, unnamed] });
  expect(it.lanes.map((l) => l.key)).toEqual(["site", "1 room", "2 bed"]);
  // The server was started again, without the zone.
  it.keep(keysOf({ site: { rooms: [{ id: "room" }], zones: [] } } as unknown as Site));
  expect(it.lanes.map((l) => l.key)).toEqual(["site", "1 room"]);
});

test("a connection that was lost leaves a hole, and nothing else", () => {
  const it = new Diary();
  for (let t = 0; t <= 1_000; t += 50) it.take(said(t));
  for (let t = 60_000; t <= 61_000; t += 50) it.take(said(t));
  expect(holes(it.lanes[0]!.spans, stretch(0, 61_000))).toEqual([stretch(1_000, 60_000)]);
});

test("labels of the axis never overlap, from seconds to a year", () => {
  const to = new Date(2026, 10, 27, 15, 40, 12).getTime();
  const wide = (text: string) => 7 * text.length;
  for (const width of [280, 700, 1_300]) {
    for (const span of [5_000, 60_000, 300_000, 3_600_000, 86_400_000, 604_800_000, 31_536_000_000]) {
      const window = { from: to - span, to };
      const all = marks(window, width, wide);
      const x = (t: number) => ((t - window.from) * width) / span;
      for (const [i, { time, text }] of all.entries()) {
        expect(time).toBeGreaterThanOrEqual(window.from);
        const next = all[i + 1];
        if (next) expect(x(next.time) - x(time), `${span} in ${width}: ${text}`).toBeGreaterThan((wide(text) + wide(next.text)) / 2);
      }
      if (width > 280) expect(all.length, `${span} in ${width}`).toBeGreaterThan(1);
      expect(all.length).toBeLessThan(26);
    }
  }
});

test("a year is marked by months, at their first", () => {
  const to = new Date(2026, 10, 27).getTime();
  const all = marks({ from: to - 31_536_000_000, to }, 1_300, (text) => 7 * text.length);
  expect(all).toHaveLength(12);
  for (const { time } of all) expect(new Date(time).getDate()).toBe(1);
});
