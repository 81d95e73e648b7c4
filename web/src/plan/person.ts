/** One person, as tracked and as it really is: where it is, the part of the plan it needs, how it is drawn there. */
import type { TruthSubscription } from "../generated/operations";
import type { Track } from "../live/cycle";
import type { Box, Frame, Point } from "./frame";
import { BONES, JOINTS } from "./figure";
import { colour, type Palette } from "./palette";

type Context = OffscreenCanvasRenderingContext2D;
export type Truth = TruthSubscription["truth"];

export interface Drawn {
  id: string;
  /** Metres. */
  place: Point;
  /** Around it, pixels. */
  box: Box;
  paint: (c: Context) => void;
}

/** Half a line's width and a joint's radius, generously, pixels. */
const EDGE = 8;

/** A box around points, each with a radius; nothing outside the plan and this much around it, so that no doubt about a position,
 *  however large, makes a picture that is. */
function bounds(f: Frame, points: readonly (Point & { radius: number })[]): Box {
  const far = 64;
  return {
    left: Math.max(-far, Math.min(...points.map((q) => q.x - q.radius))),
    top: Math.max(-far, Math.min(...points.map((q) => q.y - q.radius))),
    right: Math.min(f.width + far, Math.max(...points.map((q) => q.x + q.radius))),
    bottom: Math.min(f.height + far, Math.max(...points.map((q) => q.y + q.radius))),
  };
}

/** Somebody who is tracked; nothing when the position is not let out. */
export function tracked(f: Frame, p: Palette, track: Track, figures: boolean): Drawn | undefined {
  if (track.x == null || track.y == null) return undefined;
  const place = { x: track.x, y: track.y };
  const spot = f.at(place.x, place.y);
  const tint = colour(p, track.id);
  const ahead = (Math.hypot(track.vx ?? 0, track.vy ?? 0) / 2) * f.scale;
  const points = [{ ...spot, radius: Math.max(axes(f, track).major, ahead) + EDGE }];
  for (const k of (figures && track.keypoints) || []) {
    if (k.x != null && k.y != null) points.push({ ...f.at(k.x, k.y, k.z ?? 0), radius: Math.min(k.sigmaM, 1) * f.scale + EDGE });
  }
  return {
    id: `tracked ${track.id}`,
    place,
    box: bounds(f, points),
    paint: (c) => {
      c.globalAlpha = track.active ? 1 : 0.45;
      ellipse(c, f, tint, track, spot);
      if (figures) figure(c, f, tint, p, track);
      if (!figures || !track.keypoints) disc(c, spot, 6, tint);
      velocity(c, f, tint, track, place);
      c.globalAlpha = 1;
    },
  };
}

/** Somebody who is really there: thin, in one colour that nothing else has. */
export function real(f: Frame, p: Palette, person: Truth["people"][number], figures: boolean): Drawn {
  const spot = f.at(person.x, person.y);
  const joints = figures ? JOINTS.map((name) => person.joints.find((j) => j.name === name)) : [];
  const at = joints.map((j) => j && f.at(j.x, j.y, j.z));
  return {
    id: `real ${person.id}`,
    place: { x: person.x, y: person.y },
    box: bounds(f, [{ ...spot, radius: 13 + EDGE }, ...at.flatMap((q) => (q ? [{ ...q, radius: EDGE }] : []))]),
    paint: (c) => {
      c.strokeStyle = p.truth;
      c.lineWidth = 1.5;
      c.beginPath();
      c.arc(spot.x, spot.y, 9, 0, 2 * Math.PI);
      c.moveTo(spot.x - 13, spot.y);
      c.lineTo(spot.x + 13, spot.y);
      c.moveTo(spot.x, spot.y - 13);
      c.lineTo(spot.x, spot.y + 13);
      c.stroke();
      c.lineWidth = 1;
      c.beginPath();
      for (const [i, j] of BONES) {
        const [a, b] = [at[i], at[j]];
        if (!a || !b) continue;
        c.moveTo(a.x, a.y);
        c.lineTo(b.x, b.y);
      }
      c.stroke();
    },
  };
}

/** Two sigmas of the position on the floor, from the covariance's upper left corner: pixels, and the angle on the screen. */
function axes(f: Frame, track: Track): { major: number; minor: number; angle: number } {
  // Upper triangle of 6x6, row by row: xx 0, xy 1, yy 6.
  const [xx, xy, yy] = [track.covariance[0] ?? 0, track.covariance[1] ?? 0, track.covariance[6] ?? 0];
  const [half, spread] = [(xx + yy) / 2, Math.hypot((xx - yy) / 2, xy)];
  const length = (variance: number) => 2 * Math.sqrt(Math.max(variance, 0)) * f.scale;
  return { major: length(half + spread), minor: length(half - spread), angle: -0.5 * Math.atan2(2 * xy, xx - yy) };
}

function ellipse(c: Context, f: Frame, tint: string, track: Track, at: Point): void {
  const { major, minor, angle } = axes(f, track);
  c.beginPath();
  c.ellipse(at.x, at.y, major, minor, angle, 0, 2 * Math.PI);
  const alpha = c.globalAlpha;
  c.fillStyle = tint;
  c.globalAlpha = 0.13 * alpha;
  c.fill();
  c.globalAlpha = alpha;
  c.strokeStyle = tint;
  c.lineWidth = 1.5;
  c.stroke();
}

function velocity(c: Context, f: Frame, tint: string, track: Track, { x, y }: Point): void {
  const [vx, vy] = [track.vx ?? 0, track.vy ?? 0];
  if (Math.hypot(vx, vy) < 0.15) return;
  // Where they would be in half a second.
  const [a, b] = [f.at(x, y), f.at(x + vx / 2, y + vy / 2)];
  const angle = Math.atan2(b.y - a.y, b.x - a.x);
  c.strokeStyle = tint;
  c.lineWidth = 2;
  c.beginPath();
  c.moveTo(a.x, a.y);
  c.lineTo(b.x, b.y);
  c.lineTo(b.x - 6 * Math.cos(angle - 0.5), b.y - 6 * Math.sin(angle - 0.5));
  c.moveTo(b.x, b.y);
  c.lineTo(b.x - 6 * Math.cos(angle + 0.5), b.y - 6 * Math.sin(angle + 0.5));
  c.stroke();
}

/** The skeleton, standing on the plan. What was measured is drawn solid; what follows from the body model only is
 *  drawn hollow and dashed. Each joint has its sigma as a soft disc. */
function figure(c: Context, f: Frame, tint: string, p: Palette, track: Track): void {
  if (!track.keypoints) return;
  const joints = track.keypoints.map((k) => ({
    ...k,
    at: k.x == null || k.y == null ? undefined : f.at(k.x, k.y, k.z ?? 0),
  }));
  const alpha = c.globalAlpha;
  c.fillStyle = tint;
  c.globalAlpha = 0.16 * alpha;
  // One path: where the discs of several joints overlap, bones and joints stay visible. A disc that another covers to within
  // two pixels is left out: where no GPU draws, they are what a figure costs.
  c.beginPath();
  const discs: (Point & { radius: number })[] = [];
  for (const { at, sigmaM } of joints) {
    if (!at) continue;
    const radius = Math.min(sigmaM, 1) * f.scale;
    if (discs.some((d) => Math.hypot(d.x - at.x, d.y - at.y) + radius <= d.radius + 2)) continue;
    discs.push({ ...at, radius });
    c.moveTo(at.x + radius, at.y);
    c.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  }
  c.fill();
  c.globalAlpha = alpha;
  c.strokeStyle = tint;
  c.lineCap = "round";
  for (const measured of [false, true]) {
    c.setLineDash(measured ? [] : [1, 4]);
    c.lineWidth = measured ? 3 : 2;
    c.beginPath();
    for (const [i, j] of BONES) {
      const [a, b] = [joints[i], joints[j]];
      if (!a?.at || !b?.at) continue;
      if ((a.source === "MEASURED" && b.source === "MEASURED") !== measured) continue;
      c.moveTo(a.at.x, a.at.y);
      c.lineTo(b.at.x, b.at.y);
    }
    c.stroke();
  }
  c.setLineDash([]);
  c.lineCap = "butt";
  c.lineWidth = 1.25;
  for (const measured of [false, true]) {
    c.beginPath();
    for (const { at, source } of joints) {
      if (!at || (source === "MEASURED") !== measured) continue;
      c.moveTo(at.x + 2.6, at.y);
      c.arc(at.x, at.y, 2.6, 0, 2 * Math.PI);
    }
    c.fillStyle = measured ? tint : p.paper;
    c.stroke();
    c.fill();
  }
}

function disc(c: Context, at: Point, radius: number, fill: string): void {
  c.beginPath();
  c.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  c.fillStyle = fill;
  c.fill();
}
