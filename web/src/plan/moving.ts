/** What moves: links, people, trails, and in a demo what is really there. Drawn by the worker, people at the screen's own
 *  rate: between two cycles, which are 50 ms apart, positions are interpolated. */
import type { TruthSubscription } from "../generated/operations";
import type { Track } from "../live/cycle";
import type { Site } from "../live/site";
import { boxed, type Frame, type Point } from "./frame";
import { BONES, JOINTS } from "./figure";
import type { Seen } from "./orders";
import { colour, type Palette } from "./palette";
import type { Box } from "./stage";

type Context = OffscreenCanvasRenderingContext2D;
export type Truth = TruthSubscription["truth"];

/** What is there now, and from where each moves to its place in it. */
export interface Between<T> {
  from: ReadonlyMap<unknown, Point>;
  to: T;
  /** How far: 0 to 1. */
  share: number;
}

/** Where somebody of whom `place` is the newest place is shown, metres. */
function shownAt(of: Between<unknown>, id: unknown, place: Point): Point {
  const was = of.from.get(id) ?? place;
  return { x: mix(was.x, place.x, of.share), y: mix(was.y, place.y, of.share) };
}

/** Where each is shown, metres, by id: from there they move on. */
export function places(of: Between<unknown>, all: readonly { id: unknown; x?: number | null; y?: number | null }[]): Map<unknown, Point> {
  return new Map(all.flatMap(({ id, x, y }) => (x == null || y == null ? [] : [[id, shownAt(of, id, { x, y })]])));
}

const mix = (a: number, b: number, share: number) => a + (b - a) * share;

/** A trail: ten seconds, five points in each. */
export const TRAIL = { every: 4, points: 50 };

/** Coherence of a link of the empty room, with the usual noise; and of one that somebody stands in. */
const [CALM, UPSET] = [0.82, 0.3];

export function drawLinks(c: Context, f: Frame, p: Palette, site: Site, cycle: Seen): void {
  const nodes = new Map(site.nodes.map((n) => [n.id, n]));
  const reports = new Map(cycle.links.map((l) => [l.path, l]));
  for (const link of site.links) {
    const [tx, rx] = [nodes.get(link.tx ?? -1), nodes.get(link.rx ?? -1)];
    const report = reports.get(link.path);
    if (!tx || !rx || !report) continue;
    // The two directions of a pair lie side by side.
    const [a, b] = [f.at(tx.x, tx.y), f.at(rx.x, rx.y)];
    const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    const [ox, oy] = [(-2.5 * (b.y - a.y)) / length, (2.5 * (b.x - a.x)) / length];
    const known = report.coherence != null && (report.ageMs ?? Number.POSITIVE_INFINITY) < 1_000;
    const upset = known ? Math.min(1, Math.max(0, (CALM - report.coherence!) / (CALM - UPSET))) : 0;
    c.beginPath();
    c.moveTo(a.x + ox, a.y + oy);
    c.lineTo(b.x + ox, b.y + oy);
    c.setLineDash(known ? [] : [2, 6]);
    c.strokeStyle = p.calm;
    c.lineWidth = 1.5;
    c.globalAlpha = 0.75 * (1 - upset);
    c.stroke();
    if (upset > 0.01) {
      c.strokeStyle = p.upset;
      c.lineWidth = 1.5 + 2 * upset;
      c.globalAlpha = Math.min(1, 0.25 + upset);
      c.stroke();
    }
  }
  c.setLineDash([]);
  c.globalAlpha = 1;
  // Radios stand on a layer below, and are seen through this one.
  for (const node of site.nodes) {
    const { left, top, size } = boxed(f, node);
    c.clearRect(left, top, size, size);
  }
}

export function drawPeople(c: Context, f: Frame, p: Palette, at: Between<Seen>, figures: boolean): void {
  for (const track of at.to.tracks) {
    if (track.x == null || track.y == null) continue;
    const { x, y } = shownAt(at, track.id, { x: track.x, y: track.y });
    const tint = colour(p, track.id);
    c.globalAlpha = track.active ? 1 : 0.45;
    ellipse(c, f, tint, track, x, y);
    if (figures) figure(c, f, tint, p, track, x - track.x, y - track.y);
    const spot = f.at(x, y);
    if (!figures || !track.keypoints) disc(c, spot, 6, tint);
    velocity(c, f, tint, track, x, y);
    c.globalAlpha = 1;
  }
}

/** The part of the plan that people need, pixels: where they are shown and where they go to. */
export function reach(f: Frame, cycle: Between<Seen> | undefined, truth: Between<Truth> | undefined, figures: boolean): Box | undefined {
  const all: Box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  /** Around a point on the screen, and around it as far off as the person is from the newest place. */
  const take = (at: Point, radius: number, off: Point) => {
    all.left = Math.min(all.left, at.x - radius + Math.min(0, off.x));
    all.top = Math.min(all.top, at.y - radius + Math.min(0, off.y));
    all.right = Math.max(all.right, at.x + radius + Math.max(0, off.x));
    all.bottom = Math.max(all.bottom, at.y + radius + Math.max(0, off.y));
  };
  const offset = (of: Between<unknown>, id: unknown, place: Point): Point => {
    const [from, to] = [f.at(shownAt(of, id, place).x, shownAt(of, id, place).y), f.at(place.x, place.y)];
    return { x: from.x - to.x, y: from.y - to.y };
  };
  for (const track of cycle?.to.tracks ?? []) {
    if (track.x == null || track.y == null) continue;
    const off = offset(cycle!, track.id, { x: track.x, y: track.y });
    const ahead = (Math.hypot(track.vx ?? 0, track.vy ?? 0) / 2) * f.scale + EDGE;
    take(f.at(track.x, track.y), Math.max(axes(f, track).major + EDGE, ahead), off);
    for (const k of (figures && track.keypoints) || []) {
      if (k.x != null && k.y != null) take(f.at(k.x, k.y, k.z ?? 0), Math.min(k.sigmaM, 1) * f.scale + EDGE, off);
    }
  }
  for (const person of truth?.to.people ?? []) {
    const off = offset(truth!, person.id, person);
    take(f.at(person.x, person.y), 13 + EDGE, off);
    for (const j of figures ? person.joints : []) take(f.at(j.x, j.y, j.z), EDGE, off);
  }
  return all.left < all.right ? all : undefined;
}

/** Half a line's width and a joint's radius, generously, pixels. */
const EDGE = 8;

/** Two sigmas of the position on the floor, from the covariance's upper left corner: pixels, and the angle on the screen. */
function axes(f: Frame, track: Track): { major: number; minor: number; angle: number } {
  // Upper triangle of 6x6, row by row: xx 0, xy 1, yy 6.
  const [xx, xy, yy] = [track.covariance[0] ?? 0, track.covariance[1] ?? 0, track.covariance[6] ?? 0];
  const [half, spread] = [(xx + yy) / 2, Math.hypot((xx - yy) / 2, xy)];
  const length = (variance: number) => 2 * Math.sqrt(Math.max(variance, 0)) * f.scale;
  return { major: length(half + spread), minor: length(half - spread), angle: -0.5 * Math.atan2(2 * xy, xx - yy) };
}

function ellipse(c: Context, f: Frame, tint: string, track: Track, x: number, y: number): void {
  const { major, minor, angle } = axes(f, track);
  const at = f.at(x, y);
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

function velocity(c: Context, f: Frame, tint: string, track: Track, x: number, y: number): void {
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
function figure(c: Context, f: Frame, tint: string, p: Palette, track: Track, dx: number, dy: number): void {
  if (!track.keypoints) return;
  const joints = track.keypoints.map((k) => ({
    ...k,
    at: k.x == null || k.y == null ? undefined : f.at(k.x + dx, k.y + dy, k.z ?? 0),
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
  for (const { at, source } of joints) {
    if (!at) continue;
    c.beginPath();
    c.arc(at.x, at.y, 2.6, 0, 2 * Math.PI);
    c.fillStyle = source === "MEASURED" ? tint : p.paper;
    c.fill();
    c.lineWidth = 1.25;
    c.stroke();
  }
}

export function drawTrails(c: Context, f: Frame, p: Palette, past: readonly Seen[]): void {
  const last = past.at(-1);
  if (!last) return;
  c.lineCap = "round";
  for (const { id } of last.tracks) {
    c.strokeStyle = colour(p, id);
    c.lineWidth = 2;
    let before: Point | undefined;
    for (let i = 0; i < past.length; i++) {
      const track = past[i]!.tracks.find((t) => t.id === id);
      const at = track?.x != null && track.y != null ? f.at(track.x, track.y) : undefined;
      if (at && before) {
        c.globalAlpha = (0.6 * i) / past.length;
        c.beginPath();
        c.moveTo(before.x, before.y);
        c.lineTo(at.x, at.y);
        c.stroke();
      }
      before = at;
    }
  }
  c.globalAlpha = 1;
  c.lineCap = "butt";
}

/** Who is really there: thin, in one colour that nothing else has. */
export function drawTruth(c: Context, f: Frame, p: Palette, at: Between<Truth>, figures: boolean): void {
  c.strokeStyle = p.truth;
  for (const person of at.to.people) {
    const { x, y } = shownAt(at, person.id, person);
    const spot = f.at(x, y);
    c.lineWidth = 1.5;
    c.beginPath();
    c.arc(spot.x, spot.y, 9, 0, 2 * Math.PI);
    c.moveTo(spot.x - 13, spot.y);
    c.lineTo(spot.x + 13, spot.y);
    c.moveTo(spot.x, spot.y - 13);
    c.lineTo(spot.x, spot.y + 13);
    c.stroke();
    if (!figures) continue;
    const joints = JOINTS.map((name) => person.joints.find((j) => j.name === name));
    c.lineWidth = 1;
    c.beginPath();
    for (const [i, j] of BONES) {
      const [a, b] = [joints[i], joints[j]];
      if (!a || !b) continue;
      const [from, to] = [f.at(a.x + x - person.x, a.y + y - person.y, a.z), f.at(b.x + x - person.x, b.y + y - person.y, b.z)];
      c.moveTo(from.x, from.y);
      c.lineTo(to.x, to.y);
    }
    c.stroke();
  }
}

function disc(c: Context, at: Point, radius: number, fill: string): void {
  c.beginPath();
  c.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  c.fillStyle = fill;
  c.fill();
}
