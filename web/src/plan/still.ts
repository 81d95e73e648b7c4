/** What stands still: rooms, doors, zones, furniture, nodes. Drawn again only when the site, the size, the theme or
 *  a zone's state changes. */
import type { Cycle } from "../live/cycle";
import type { Site } from "../live/site";
import { names } from "../live/words";
import { boxed, type Frame, type Point } from "./frame";
import type { Palette } from "./palette";

type Context = CanvasRenderingContext2D;

function outline(c: Context, f: Frame, points: readonly Point[]): void {
  c.beginPath();
  for (const [i, p] of points.entries()) {
    const at = f.at(p.x, p.y);
    if (i) c.lineTo(at.x, at.y);
    else c.moveTo(at.x, at.y);
  }
  c.closePath();
}

export function drawFloor(c: Context, f: Frame, p: Palette, site: Site, cycle: Cycle | undefined): void {
  for (const room of site.site.rooms) {
    outline(c, f, room.outline);
    c.fillStyle = p.paper;
    c.fill();
  }
  grid(c, f, p, site);
  for (const zone of site.site.zones) {
    const state = cycle?.zones.find((z) => z.id === zone.id)?.presence.state;
    const occupied = state === "OCCUPIED_MOVING" || state === "OCCUPIED_STILL";
    outline(c, f, zone.outline);
    c.fillStyle = occupied ? p.occupied : "transparent";
    c.fill();
    c.strokeStyle = p.zone;
    c.lineWidth = 1;
    c.setLineDash([4, 4]);
    c.stroke();
    c.setLineDash([]);
  }
  furniture(c, f, p, site);
}

/** A faint metre grid inside the rooms: lengths can be read off. */
function grid(c: Context, f: Frame, p: Palette, site: Site): void {
  c.save();
  c.beginPath();
  for (const room of site.site.rooms) {
    for (const [i, corner] of room.outline.entries()) {
      const at = f.at(corner.x, corner.y);
      if (i) c.lineTo(at.x, at.y);
      else c.moveTo(at.x, at.y);
    }
    c.closePath();
  }
  c.clip();
  c.strokeStyle = p.line;
  c.lineWidth = 1;
  c.beginPath();
  const [low, high] = [f.floor(0, f.height), f.floor(f.width, 0)];
  for (let x = Math.ceil(low.x); x < high.x; x++) {
    const at = Math.round(f.at(x, 0).x) + 0.5;
    c.moveTo(at, 0);
    c.lineTo(at, f.height);
  }
  for (let y = Math.ceil(low.y); y < high.y; y++) {
    const at = Math.round(f.at(0, y).y) + 0.5;
    c.moveTo(0, at);
    c.lineTo(f.width, at);
  }
  c.stroke();
  c.restore();
}

function furniture(c: Context, f: Frame, p: Palette, site: Site): void {
  for (const box of site.demo?.furniture ?? []) {
    const [a, b] = [f.at(box.low.x, box.high.y), f.at(box.high.x, box.low.y)];
    c.fillStyle = p.line;
    c.globalAlpha = 0.6;
    c.fillRect(a.x, a.y, b.x - a.x, b.y - a.y);
    c.globalAlpha = 1;
    c.strokeStyle = p.zone;
    c.lineWidth = 1;
    c.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
  }
}

/** Over the image: walls, doors, names, radios. */
export function drawWalls(c: Context, f: Frame, p: Palette, site: Site): void {
  c.lineJoin = "miter";
  for (const room of site.site.rooms) {
    outline(c, f, room.outline);
    c.strokeStyle = p.wall;
    c.lineWidth = Math.max(3, 0.09 * f.scale);
    c.stroke();
  }
  for (const door of site.site.doors) drawDoor(c, f, p, site, door);
  labels(c, f, p, site);
  for (const node of site.nodes) drawNode(c, f, p, node);
}

function drawDoor(c: Context, f: Frame, p: Palette, site: Site, door: Site["site"]["doors"][number]): void {
  const room = site.site.rooms.find((r) => r.id === door.room);
  if (!room) return;
  const wall = nearestWall(room.outline, door.at);
  const half = door.widthM / 2;
  const a = f.at(door.at.x - wall.x * half, door.at.y - wall.y * half);
  const b = f.at(door.at.x + wall.x * half, door.at.y + wall.y * half);
  c.strokeStyle = p.sunken;
  c.lineWidth = Math.max(3, 0.09 * f.scale) + 1.5;
  c.beginPath();
  c.moveTo(a.x, a.y);
  c.lineTo(b.x, b.y);
  c.stroke();
  // The leaf stands open, inwards; outlines run counter-clockwise, so inside is to the left.
  const leaf = f.at(
    door.at.x - wall.x * half - wall.y * door.widthM,
    door.at.y - wall.y * half + wall.x * door.widthM,
  );
  c.strokeStyle = p.zone;
  c.lineWidth = 1.5;
  c.beginPath();
  c.moveTo(a.x, a.y);
  c.lineTo(leaf.x, leaf.y);
  c.stroke();
  const radius = door.widthM * f.scale;
  const from = Math.atan2(leaf.y - a.y, leaf.x - a.x);
  const to = Math.atan2(b.y - a.y, b.x - a.x);
  c.lineWidth = 1;
  c.setLineDash([2, 3]);
  c.beginPath();
  c.arc(a.x, a.y, radius, from, to, Math.sin(to - from) < 0);
  c.stroke();
  c.setLineDash([]);
}

/** Direction of the wall of an outline that a point lies nearest to, along the outline. */
function nearestWall(points: readonly Point[], at: Point): Point {
  let best = { distance: Number.POSITIVE_INFINITY, x: 1, y: 0 };
  for (const [i, a] of points.entries()) {
    const b = points[(i + 1) % points.length]!;
    const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    const [x, y] = [(b.x - a.x) / length, (b.y - a.y) / length];
    const along = Math.min(length, Math.max(0, (at.x - a.x) * x + (at.y - a.y) * y));
    const distance = Math.hypot(a.x + along * x - at.x, a.y + along * y - at.y);
    if (distance < best.distance) best = { distance, x, y };
  }
  return best;
}

function labels(c: Context, f: Frame, p: Palette, site: Site): void {
  c.font = `500 ${Math.max(11, Math.min(13, 0.15 * f.scale))}px ${p.font}`;
  c.textAlign = "left";
  c.textBaseline = "top";
  c.fillStyle = p.ink;
  for (const zone of site.site.zones) {
    const left = Math.min(...zone.outline.map((q) => q.x));
    const top = Math.max(...zone.outline.map((q) => q.y));
    const at = f.at(left, top);
    // Beside the node in the corner, and below the link along the wall.
    const [x, y] = [at.x + 0.5 * f.scale, at.y + 0.3 * f.scale];
    const name = names(zone.id, zone.name);
    c.lineWidth = 4;
    c.lineJoin = "round";
    c.strokeStyle = p.paper;
    c.globalAlpha = 0.7;
    c.strokeText(name, x, y);
    c.globalAlpha = 1;
    c.fillText(name, x, y);
  }
}

function drawNode(c: Context, f: Frame, p: Palette, node: Site["nodes"][number]): void {
  const { left, top, size } = boxed(f, node);
  c.fillStyle = p.ink;
  c.strokeStyle = p.paper;
  c.lineWidth = 2;
  c.beginPath();
  c.roundRect(left, top, size, size, 4);
  c.stroke();
  c.fill();
  c.fillStyle = p.paper;
  c.font = `600 ${Math.max(10, 0.575 * size)}px ${p.font}`;
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillText(String(node.id), left + size / 2, top + size / 2 + 0.5);
}
