/** Links and trails, drawn by the worker. */
import type { Site } from "../live/site";
import { boxed, type Frame, type Point } from "./frame";
import type { Seen } from "./orders";
import { colour, type Palette } from "./palette";

type Context = OffscreenCanvasRenderingContext2D;

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
    // In full, so that a calm link keeps its contrast to the floor.
    c.globalAlpha = 1 - upset;
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
