/** Which sums the timeline asks for. No browser is needed. */
import { expect, test } from "@playwright/test";
import type { Site } from "../src/live/site";
import { stub } from "./stub";

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];
/** A moment within a day, an hour, a minute. */
const NOW = Date.UTC(2026, 10, 27, 15, 40, 12);
/** Since when the server has run. */
let since = 0;
let questions: { area: string | null; level: string; from: number }[] = [];

/** The finest level of at most `points` windows, and of it what is closed. */
function history(_: string, { area, from, to, points }: Record<string, unknown>): unknown {
  if (area === "gone") throw new Error("no area of that name");
  const [begin, end] = [Date.parse(from as string), Date.parse(to as string)];
  const levels: [string, number][] = [["SECOND", SECOND], ["MINUTE", MINUTE], ["HOUR", HOUR], ["DAY", DAY]];
  const there = levels.filter(([, ms]) => NOW - since > ms);
  const [level, ms] = there.find(([, ms]) => (end - begin) / ms < (points as number)) ?? there[0]!;
  const known = Math.floor(NOW / ms) * ms;
  const windows = [];
  for (let t = Math.ceil(Math.max(begin, since) / ms) * ms; t < Math.min(end, known) && windows.length < (points as number); t += ms) {
    const time = (t: number) => new Date(t).toISOString();
    windows.push({ from: time(t), to: time(t + ms), emptyS: ms / 1_000, movingS: 0, stillS: 0, unknownS: 0, peopleMean: null });
  }
  questions.push({ area: area as string | null, level, from: begin });
  return { history: { level, knownTo: new Date(known).toISOString(), points: windows } };
}

stub(history);
const { bars, level, refused, want } = await import("../src/live/history");
const { site } = await import("../src/live/site");

test.beforeEach(() => {
  questions = [];
  since = NOW - 500 * DAY;
});

for (const [name, span, levels] of [
  ["a day", DAY, ["HOUR", "MINUTE", "SECOND"]],
  ["a week", 7 * DAY, ["HOUR", "MINUTE", "SECOND"]],
  ["a year", 365 * DAY, ["DAY", "HOUR", "MINUTE", "SECOND"]],
] as const) {
  test(`of ${name} the hour and the day that still run are shown, too`, async () => {
    await want(NOW - span, NOW, ["site"]);
    expect(questions.map((q) => q.level)).toEqual(levels);
    const of = bars.get("site")!;
    // Without a gap, and up to now.
    for (const [i, bar] of of.entries()) expect(bar.from).toBe(of[i - 1]?.to ?? bar.from);
    expect(of[0]!.from).toBeLessThanOrEqual(NOW - span);
    expect(of.at(-1)!.to).toBe(NOW);
    expect(level.value).toBe(levels[0].toLowerCase());
  });
}

test("what is all past needs no second question", async () => {
  await want(NOW - 9 * DAY, NOW - 2 * DAY, ["site"]);
  expect(questions.map((q) => q.level)).toEqual(["HOUR"]);
});

test("of a server that has run for less than an hour a year shows all of it", async () => {
  since = NOW - 40 * MINUTE;
  await want(NOW - 300 * DAY, NOW, ["site"]);
  expect(bars.get("site")![0]!.from).toBe(since);
  expect(bars.get("site")!.at(-1)!.to).toBe(NOW);
});

test("a long time that ends now is asked for again once a minute", async () => {
  const real = performance.now;
  try {
    let at = real.call(performance);
    performance.now = () => at;
    const asks = async (later: number) => {
      at += later;
      questions = [];
      await want(NOW - 100 * DAY + later, NOW + later, ["site"]);
      return questions.length > 0;
    };
    expect([await asks(0), await asks(MINUTE - 1), await asks(1)]).toEqual([true, false, true]);
  } finally {
    performance.now = real;
  }
});

test("an area that the site does not have is not asked for; one that is refused leaves the others", async () => {
  site.value = { site: { rooms: [{ id: "gone" }, { id: "room" }], zones: [] } } as unknown as Site;
  await want(NOW - 50 * DAY, NOW - 40 * DAY, ["site", "1 gone", "1 room", "2 bed"]);
  expect(questions.map((q) => q.area)).toEqual([null, "room"]);
  expect([bars.has("1 gone"), bars.has("1 room")]).toEqual([false, true]);
  expect(refused.value).toBe("no area of that name");
});
