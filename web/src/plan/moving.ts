/** What moves: links, people, trails, and in a demo what is really there. Drawn at the screen's own rate; between two
 *  cycles, which are 50 ms apart, positions are interpolated. */
import type { TruthSubscription } from "../generated/operations";
import type { Cycle, Track } from "../live/cycle";
import type { Site } from "../live/site";
import type { Frame, Point } from "./frame";
import { BONES, JOINTS } from "./figure";
import { colour, type Palette } from "./palette";

type Context = CanvasRenderingContext2D;
export type Truth = TruthSubscription["truth"];

/** How far `to` is shown, from `from`: 0 to 1. */
export interface Between<T> {
  from: T | undefined;
  to: T;
  share: number;
}

const mix = (a: number, b: number, share: number) => a + (b - a) * share;

/** Coherence of a link of the empty room, with the usual noise; and of one that somebody stands in. */
const [CALM, UPSET] = [0.82, 0.3];

export function drawLinks(c: Context, f: Frame, p: Palette, site: Site, cycle: Cycle): void {
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
}

export function drawPeople(c: Context, f: Frame, p: Palette, at: Between<Cycle>, figures: boolean): void {
  for (const track of at.to.tracks) {
    if (track.x == null || track.y == null) continue;
    const was = at.from?.tracks.find((t) => t.id === track.id);
    const x = mix(was?.x ?? track.x, track.x, at.share);
    const y = mix(was?.y ?? track.y, track.y, at.share);
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

/** Two sigmas of the position on the floor, from the covariance's upper left corner. */
function ellipse(c: Context, f: Frame, tint: string, track: Track, x: number, y: number): void {
  // Upper triangle of 6x6, row by row: xx 0, xy 1, yy 6.
  const [xx, xy, yy] = [track.covariance[0] ?? 0, track.covariance[1] ?? 0, track.covariance[6] ?? 0];
  const [half, spread] = [(xx + yy) / 2, Math.hypot((xx - yy) / 2, xy)];
  const [major, minor] = [half + spread, half - spread].map((v) => 2 * Math.sqrt(Math.max(v, 0)) * f.scale);
  const at = f.at(x, y);
  c.beginPath();
  c.ellipse(at.x, at.y, major!, minor!, -0.5 * Math.atan2(2 * xy, xx - yy), 0, 2 * Math.PI);
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
  // One path: where the discs of several joints overlap, bones and joints stay visible.
  c.beginPath();
  for (const { at, sigmaM } of joints) {
    if (!at) continue;
    const radius = Math.min(sigmaM, 1) * f.scale;
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

export function drawTrails(c: Context, f: Frame, p: Palette, recent: readonly Cycle[]): void {
  const last = recent.at(-1);
  if (!last) return;
  const from = Math.max(0, recent.length - 200);
  c.lineCap = "round";
  for (const { id } of last.tracks) {
    c.strokeStyle = colour(p, id);
    c.lineWidth = 2;
    let before: Point | undefined;
    for (let i = from; i < recent.length; i += 4) {
      const track = recent[i]!.tracks.find((t) => t.id === id);
      const at = track?.x != null && track.y != null ? f.at(track.x, track.y) : undefined;
      if (at && before) {
        c.globalAlpha = (0.6 * (i - from)) / (recent.length - from);
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
    const was = at.from?.people.find((q) => q.id === person.id);
    const x = mix(was?.x ?? person.x, person.x, at.share);
    const y = mix(was?.y ?? person.y, person.y, at.share);
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
