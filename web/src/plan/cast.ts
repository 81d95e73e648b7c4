/** Everybody who is drawn. Each is painted once when there is news of them, and that picture is shown at every frame, at a place
 *  between the last one and the newest: a picture that is moved costs a fraction of one that is painted. */
import type { Box, Frame, Point } from "./frame";
import type { Drawn } from "./person";
import { around } from "./stage";

type Context = OffscreenCanvasRenderingContext2D;

/** Milliseconds from where somebody is shown to the newest place. A cycle lasts 50: the next place comes before the last is
 *  reached, so that nobody stops and starts when cycles come a little early or late. */
const WAY_MS = 70;
/** A picture grows in steps of this many device pixels. */
const STEP = 64;

interface Member {
  drawn: Drawn;
  /** Where it is shown when the news comes, metres. */
  from: Point;
  /** When the news came. */
  at: number;
  picture: Context;
  /** Where the picture lies and how large it is, device pixels. */
  left: number;
  top: number;
  width: number;
  height: number;
}

export class Cast {
  private members = new Map<string, Member>();

  get empty(): boolean {
    return this.members.size === 0;
  }

  /** Whether all have reached their newest place. */
  still(time: number): boolean {
    return [...this.members.values()].every((m) => time - m.at >= WAY_MS);
  }

  /** News: these are there now, at these places; the others are gone. */
  renew(all: readonly Drawn[], ratio: number, time: number): void {
    const before = this.members;
    this.members = new Map();
    for (const drawn of all) {
      const was = before.get(drawn.id);
      const member: Member = {
        drawn,
        from: was ? shownAt(was, time) : drawn.place,
        at: time,
        picture: was?.picture ?? new OffscreenCanvas(1, 1).getContext("2d")!,
        left: Math.floor(drawn.box.left * ratio),
        top: Math.floor(drawn.box.top * ratio),
        width: 0,
        height: 0,
      };
      member.width = Math.max(1, Math.ceil(drawn.box.right * ratio) - member.left);
      member.height = Math.max(1, Math.ceil(drawn.box.bottom * ratio) - member.top);
      paint(member, ratio);
      this.members.set(drawn.id, member);
    }
  }

  /** The part of the plan that all need until the next news, pixels; nothing when nobody is there. */
  reach(f: Frame, time: number): Box | undefined {
    const boxes = [...this.members.values()].flatMap((m) => [m.drawn.box, moved(m.drawn.box, offset(m, f, time))]);
    return boxes.length ? around(boxes) : undefined;
  }

  /** Onto a canvas whose unit is the device pixel. */
  show(c: Context, f: Frame, ratio: number, time: number): void {
    for (const m of this.members.values()) {
      const off = offset(m, f, time);
      const [x, y] = [m.left + Math.round(off.x * ratio), m.top + Math.round(off.y * ratio)];
      c.drawImage(m.picture.canvas, 0, 0, m.width, m.height, x, y, m.width, m.height);
    }
  }
}

function paint({ drawn, picture: c, left, top, width, height }: Member, ratio: number): void {
  const { canvas } = c;
  const grown = (now: number, needed: number) => (needed <= now ? now : Math.ceil(needed / STEP) * STEP);
  const [wide, tall] = [grown(canvas.width, width), grown(canvas.height, height)];
  if (wide !== canvas.width || tall !== canvas.height) [canvas.width, canvas.height] = [wide, tall];
  c.resetTransform();
  c.clearRect(0, 0, wide, tall);
  c.setTransform(ratio, 0, 0, ratio, -left, -top);
  drawn.paint(c);
}

/** Metres. */
function shownAt({ drawn: { place }, from, at }: Member, time: number): Point {
  const share = Math.min(1, Math.max(0, (time - at) / WAY_MS));
  return { x: from.x + (place.x - from.x) * share, y: from.y + (place.y - from.y) * share };
}

/** How far from its newest place it is shown, pixels. */
function offset(m: Member, f: Frame, time: number): Point {
  const { x, y } = shownAt(m, time);
  const [is, will] = [f.at(x, y), f.at(m.drawn.place.x, m.drawn.place.y)];
  return { x: is.x - will.x, y: is.y - will.y };
}

function moved(b: Box, by: Point): Box {
  return { left: b.left + by.x, top: b.top + by.y, right: b.right + by.x, bottom: b.bottom + by.y };
}
