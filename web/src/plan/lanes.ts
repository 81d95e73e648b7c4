/** Occupancy over time: a lane an area, a colour a state; below it how many people. */
import type { PresenceState } from "../live/cycle";
import type { Bar } from "../live/history";
import type { Count, Lane } from "../live/past";
import type { Brush } from "../ui/canvas";
import type { Palette } from "./palette";

export interface Window {
  /** Unix milliseconds. */
  from: number;
  to: number;
}

/** What is known of the time before single cycles are. */
export interface Before {
  bars: ReadonlyMap<string, readonly Bar[]>;
  /** Up to here, Unix milliseconds. */
  to: number;
}

export const LANE = { height: 26, gap: 8, label: 108, count: 58, axis: 24 };

/** Steps of the axis, milliseconds. */
const STEPS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800].map((s) => s * 1_000);

export function height(lanes: readonly Lane[], counted: boolean): number {
  return Math.max(1, lanes.length) * (LANE.height + LANE.gap) + (counted ? LANE.count : 0) + LANE.axis;
}

function fill(p: Palette, state: PresenceState): string {
  switch (state) {
    case "OCCUPIED_MOVING":
      return p.moving;
    case "OCCUPIED_STILL":
      return p.still;
    case "EMPTY":
      return p.empty;
    case "UNKNOWN":
      return p.line;
  }
}

export function drawLanes(b: Brush, lanes: readonly Lane[], counts: readonly Count[], before: Before, window: Window, counted: boolean): void {
  const { c, width, palette: p } = b;
  const left = width < 560 ? 76 : LANE.label;
  const scale = (width - left) / (window.to - window.from);
  const x = (t: number) => left + (t - window.from) * scale;
  const bottom = height(lanes, counted) - LANE.axis;
  axis(b, window, x, left, bottom);
  c.textBaseline = "middle";
  for (const [i, lane] of lanes.entries()) {
    const top = i * (LANE.height + LANE.gap);
    c.font = `${lane.depth < 2 ? 550 : 400} 13px ${p.font}`;
    c.fillStyle = lane.depth < 2 ? p.ink : p.quiet;
    c.textAlign = "left";
    c.fillText(lane.name, lane.depth === 2 ? 12 : 0, top + LANE.height / 2, left - 16);
    c.save();
    c.beginPath();
    c.roundRect(left, top, width - left, LANE.height, 5);
    c.clip();
    c.fillStyle = p.sunken;
    c.fillRect(left, top, width - left, LANE.height);
    for (const bar of before.bars.get(lane.key) ?? []) {
      if (bar.from < before.to && bar.to > window.from && bar.from < window.to) share(c, p, bar, before.to, x, top);
    }
    for (const { from, to, state } of lane.spans) {
      if (to < window.from || from > window.to) continue;
      const [a, z] = [x(from), Math.max(x(to), x(from) + 1)];
      c.fillStyle = fill(p, state);
      c.fillRect(a, top, z - a, LANE.height);
      if (state === "UNKNOWN") hatch(c, p, Math.max(a, left), Math.min(z, width), top);
    }
    c.restore();
  }
  if (counted) people(b, [...earlier(before), ...counts], window, x, left, lanes.length * (LANE.height + LANE.gap));
}

/** A window of which only sums are known: from the bottom, the share of it in each state; what is left was not recorded. */
function share(c: CanvasRenderingContext2D, p: Palette, bar: Bar, upTo: number, x: (t: number) => number, top: number): void {
  const [a, z] = [x(bar.from), x(Math.min(bar.to, upTo))];
  const seconds = (bar.to - bar.from) / 1_000;
  let low = top + LANE.height;
  for (const state of ["OCCUPIED_MOVING", "OCCUPIED_STILL", "EMPTY", "UNKNOWN"] as const) {
    const high = LANE.height * Math.min(1, bar.spent[state] / seconds);
    if (high <= 0) continue;
    c.fillStyle = fill(p, state);
    // Half a pixel more, so that neighbours leave no seam.
    c.fillRect(a, low - high, z - a + 0.5, high);
    low -= high;
  }
}

function earlier(before: Before): Count[] {
  const site = before.bars.get("site") ?? [];
  return site
    .filter((bar) => bar.from < before.to)
    .map(({ from, to, people }) => ({ from, to: Math.min(to, before.to), people }));
}

function hatch(c: CanvasRenderingContext2D, p: Palette, from: number, to: number, top: number): void {
  c.save();
  c.beginPath();
  c.rect(from, top, to - from, LANE.height);
  c.clip();
  c.strokeStyle = p.zone;
  c.globalAlpha = 0.5;
  c.lineWidth = 1;
  c.beginPath();
  // Bound to the screen, not to the span: the pattern does not crawl when time goes on.
  for (let at = Math.floor(from / 7) * 7 - LANE.height; at < to; at += 7) {
    c.moveTo(at, top + LANE.height);
    c.lineTo(at + LANE.height, top);
  }
  c.stroke();
  c.restore();
}

function people(b: Brush, counts: readonly Count[], window: Window, x: (t: number) => number, left: number, top: number): void {
  const { c, width, palette: p } = b;
  const most = Math.max(2, ...counts.map((k) => k.people ?? 0));
  const [low, high] = [top + LANE.count - 10, top + 8];
  const y = (n: number) => low - ((low - high) * n) / most;
  c.font = `400 13px ${p.font}`;
  c.fillStyle = p.quiet;
  c.textAlign = "left";
  c.fillText("People", 0, (low + high) / 2);
  c.font = `400 11px ${p.font}`;
  c.textAlign = "right";
  c.fillText(String(most), left - 8, high + 2);
  c.fillText("0", left - 8, low - 2);
  c.save();
  c.beginPath();
  c.rect(left, top, width - left, LANE.count);
  c.clip();
  c.strokeStyle = p.line;
  c.lineWidth = 1;
  c.strokeRect(left, Math.round(low) + 0.5, width - left, 0);
  c.strokeStyle = p.accent;
  c.lineWidth = 2;
  c.beginPath();
  let last: number | undefined;
  for (const { from, to, people } of counts) {
    if (to < window.from || from > window.to || people == null) {
      last = undefined;
      continue;
    }
    if (last === from) c.lineTo(x(from), y(people));
    else c.moveTo(x(from), y(people));
    c.lineTo(x(to), y(people));
    last = to;
  }
  c.stroke();
  c.restore();
}

function axis(b: Brush, window: Window, x: (t: number) => number, left: number, bottom: number): void {
  const { c, width, palette: p } = b;
  const span = window.to - window.from;
  const room = Math.max(2, Math.floor((width - left) / 110));
  const step = STEPS.find((s) => span / s <= room) ?? STEPS.at(-1)!;
  const long = step >= 86_400_000;
  const format = new Intl.DateTimeFormat(undefined, {
    ...(long ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" }),
    ...(step < 60_000 ? { second: "2-digit" } : {}),
    hourCycle: "h23",
  });
  const zone = new Date(window.to).getTimezoneOffset() * 60_000;
  c.font = `400 11.5px ${p.font}`;
  c.fillStyle = p.quiet;
  c.strokeStyle = p.line;
  c.lineWidth = 1;
  c.textAlign = "center";
  c.textBaseline = "alphabetic";
  c.beginPath();
  for (let t = Math.ceil((window.from - zone) / step) * step + zone; t < window.to; t += step) {
    const at = Math.round(x(t)) + 0.5;
    c.moveTo(at, 0);
    c.lineTo(at, bottom + 4);
    if (at > left + 20 && at < width - 24) c.fillText(format.format(t), at, bottom + 19);
  }
  c.stroke();
}
