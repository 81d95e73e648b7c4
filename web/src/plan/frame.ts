/** From metres to pixels. The floor is drawn true to scale, seen from above with y up; heights are drawn upward
 *  on top of it (a military projection), so that a standing person stands on the plan. */
import type { Site } from "../live/site";

export interface Point {
  x: number;
  y: number;
}

/** Length of a metre of height relative to a metre of floor. */
const RISE = 0.62;
/** Around the rooms, metres. */
const MARGIN_M = 0.3;
/** Kept free above the rooms for heads, metres of height. */
const HEAD_M = 0.5;

/** A part of the plan, pixels of the page. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Frame {
  width: number;
  height: number;
  /** Pixels a metre of floor. */
  scale: number;
  /** What of it rooms and radios take, with a margin; whole pixels. */
  used: Box;
  at(x: number, y: number, z?: number): Point;
  /** Metres, from pixels on the floor. */
  floor(px: number, py: number): Point;
}

/** Low and high corner of everything that stands still, metres. */
export function extent(site: Site): [low: Point, high: Point] {
  const points = [...site.site.rooms.flatMap((r) => r.outline), ...site.nodes];
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  return [
    { x: Math.min(...xs), y: Math.min(...ys) },
    { x: Math.max(...xs), y: Math.max(...ys) },
  ];
}

/** Height over width that suits the site. */
export function aspect(site: Site): number {
  const [low, high] = extent(site);
  return (high.y - low.y + 2 * MARGIN_M + HEAD_M * RISE) / (high.x - low.x + 2 * MARGIN_M);
}

export function frame(site: Site, width: number, height: number): Frame {
  const [low, high] = extent(site);
  const wide = high.x - low.x + 2 * MARGIN_M;
  const tall = high.y - low.y + 2 * MARGIN_M + HEAD_M * RISE;
  const scale = Math.min(width / wide, height / tall);
  const left = (width - scale * wide) / 2 + scale * (MARGIN_M - low.x);
  const bottom = height - (height - scale * tall) / 2 - scale * (MARGIN_M - low.y);
  const used = {
    left: Math.max(0, Math.floor((width - scale * wide) / 2)),
    top: Math.max(0, Math.floor((height - scale * tall) / 2)),
    right: Math.min(width, Math.ceil((width + scale * wide) / 2)),
    bottom: Math.min(height, Math.ceil((height + scale * tall) / 2)),
  };
  return {
    width,
    height,
    scale,
    used,
    at: (x, y, z = 0) => ({ x: left + scale * x, y: bottom - scale * (y + RISE * z) }),
    floor: (px, py) => ({ x: (px - left) / scale, y: (bottom - py) / scale }),
  };
}

/** Where a radio is drawn: a square, pixels. */
export function boxed(f: Frame, node: Point): { left: number; top: number; size: number } {
  const at = f.at(node.x, node.y);
  const half = Math.max(8, 0.12 * f.scale);
  return { left: at.x - half, top: at.y - half, size: 2 * half };
}

/** Lays a canvas over a part of the plan. */
export function put({ style }: HTMLCanvasElement, { left, top, right, bottom }: Box): void {
  style.left = `${left}px`;
  style.top = `${top}px`;
  style.width = `${right - left}px`;
  style.height = `${bottom - top}px`;
}
