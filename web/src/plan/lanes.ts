/** Occupancy over time: a lane an area, a colour a state; below it how many people. Where no single cycles are known, sums
 *  are drawn. */
import type { PresenceState } from "../live/cycle";
import type { Count, Lane } from "../live/diary";
import type { Bar } from "../live/history";
import { holes, within, type Stretch } from "../live/spans";
import type { Brush } from "../ui/canvas";
import type { Box } from "./frame";
import { marks } from "./marks";
import type { Palette } from "./palette";
import { around } from "./stage";

/** Sums by lane. */
type Bars = ReadonlyMap<string, readonly Bar[]>;

export const LANE = { height: 26, gap: 8, label: 108, count: 58, axis: 24 };

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

export function drawLanes(b: Brush, lanes: readonly Lane[], counts: readonly Count[], bars: Bars, window: Stretch, counted: boolean): void {
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
    const open = holes(lane.spans, window);
    const unknown: Box[] = [];
    for (const bar of bars.get(lane.key) ?? []) {
      for (const part of within(bar, open)) unknown.push(...share(c, p, bar, x(part.from), x(part.to), top));
    }
    for (const { from, to, state } of lane.spans) {
      if (to < window.from || from > window.to) continue;
      const [a, z] = [x(from), Math.max(x(to), x(from) + 1)];
      c.fillStyle = fill(p, state);
      c.fillRect(a, top, z - a, LANE.height);
      if (state === "UNKNOWN") unknown.push({ left: Math.max(a, left), right: Math.min(z, width), top, bottom: top + LANE.height });
    }
    if (unknown.length) hatch(c, p, unknown);
    c.restore();
  }
  if (counted) people(b, headcount(counts, bars, window), window, x, left, lanes.length * (LANE.height + LANE.gap));
}

/** A window of which only sums are known: from the bottom, the share of it in each state; what is left was not recorded.
 *  Answers what of it is unknown. */
function share(c: CanvasRenderingContext2D, p: Palette, bar: Bar, from: number, to: number, top: number): Box[] {
  const seconds = (bar.to - bar.from) / 1_000;
  const unknown: Box[] = [];
  let low = top + LANE.height;
  for (const state of ["OCCUPIED_MOVING", "OCCUPIED_STILL", "EMPTY", "UNKNOWN"] as const) {
    const high = LANE.height * Math.min(1, bar.spent[state] / seconds);
    if (high <= 0) continue;
    c.fillStyle = fill(p, state);
    // Half a pixel more, so that neighbours leave no seam.
    c.fillRect(from, low - high, to - from + 0.5, high);
    if (state === "UNKNOWN") unknown.push({ left: from, right: to + 0.5, top: low - high, bottom: low });
    low -= high;
  }
  return unknown;
}

/** How many people, from cycles and, in their holes, from sums. */
function headcount(counts: readonly Count[], bars: Bars, window: Stretch): Count[] {
  const open = holes(counts, window);
  const summed = (bars.get("site") ?? []).flatMap(({ from, to, people }) =>
    within({ from, to }, open).map((part) => ({ ...part, people })),
  );
  const single = counts.filter((k) => k.to >= window.from && k.from <= window.to);
  return [...summed, ...single].sort((a, b) => a.from - b.from);
}

/** All that is unknown in a lane at once. */
function hatch(c: CanvasRenderingContext2D, p: Palette, boxes: readonly Box[]): void {
  const { left, right, top, bottom } = around(boxes);
  c.save();
  c.beginPath();
  for (const box of boxes) c.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  c.clip();
  c.strokeStyle = p.zone;
  c.globalAlpha = 0.5;
  c.lineWidth = 1;
  c.beginPath();
  // Bound to the screen, not to the span: the pattern does not crawl when time goes on.
  for (let at = Math.floor((left + top) / 7) * 7 - bottom; at < right; at += 7) {
    c.moveTo(at, bottom);
    c.lineTo(at + bottom - top, top);
  }
  c.stroke();
  c.restore();
}

function people(b: Brush, counts: readonly Count[], window: Stretch, x: (t: number) => number, left: number, top: number): void {
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

function axis(b: Brush, window: Stretch, x: (t: number) => number, left: number, bottom: number): void {
  const { c, width, palette: p } = b;
  c.font = `400 11.5px ${p.font}`;
  c.fillStyle = p.quiet;
  c.strokeStyle = p.line;
  c.lineWidth = 1;
  c.textAlign = "center";
  c.textBaseline = "alphabetic";
  c.beginPath();
  const wide = (text: string) => c.measureText(text).width;
  for (const { time, text } of marks(window, width - left, wide)) {
    const at = Math.round(x(time)) + 0.5;
    c.moveTo(at, 0);
    c.lineTo(at, bottom + 4);
    if (at > left + 20 && at < width - 24) c.fillText(text, at, bottom + 19);
  }
  c.stroke();
}
