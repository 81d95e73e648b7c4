/** The canvas that people are drawn on is no larger than they need: what a frame costs is its area, where no GPU draws. It
 *  cannot be moved and drawn in one step, as the page moves it and the worker draws; so there are two, and when somebody
 *  comes near the edge of one, the page lays the other where they go, and only then is it drawn on. */
import type { Box, Frame } from "./frame";

type Context = OffscreenCanvasRenderingContext2D;

/** What the worker tells the page. */
export interface Lay {
  which: number;
  /** Where it shall lie; nothing: it is not needed now. */
  box: Box | undefined;
}

/** Room around people when the canvas is laid anew, metres: a third of a second's walk and more. */
const AROUND_M = 0.5;
/** Larger than needed by this factor, it is laid anew. */
const TOO_LARGE = 2.5;
/** Edges lie on multiples of this, pixels: whole device pixels at every usual ratio. */
const GRID = 16;

/** Around several. */
export function around(boxes: readonly Box[]): Box {
  return {
    left: Math.min(...boxes.map((b) => b.left)),
    top: Math.min(...boxes.map((b) => b.top)),
    right: Math.max(...boxes.map((b) => b.right)),
    bottom: Math.max(...boxes.map((b) => b.bottom)),
  };
}

const area = (b: Box) => (b.right - b.left) * (b.bottom - b.top);

function holds(outer: Box | undefined, inner: Box): boolean {
  return !!outer && outer.left <= inner.left && outer.top <= inner.top && outer.right >= inner.right && outer.bottom >= inner.bottom;
}

export class Stage {
  /** The one that is drawn on. */
  private front = 0;
  /** Where it lies. */
  private at: Box | undefined;
  /** Where the page is laying the other one. */
  private laying: Box | undefined;
  /** The one that was drawn on before: it keeps its picture until the other one has one. */
  private leaving: number | undefined;
  private frame: Frame | undefined;
  private ratio = 1;

  constructor(
    private readonly contexts: readonly [Context, Context],
    private readonly lay: (order: Lay) => void,
  ) {}

  /** The plan has another size: both are laid anew. */
  resize(f: Frame, ratio: number): void {
    [this.frame, this.ratio, this.at, this.laying, this.leaving] = [f, ratio, undefined, undefined, undefined];
    for (const which of [0, 1]) {
      this.clear(which);
      this.lay({ which, box: undefined });
    }
  }

  /** What is drawn next needs this part of the plan. */
  want(need: Box): void {
    const f = this.frame;
    if (!f) return;
    const inside = (b: Box, margin: number): Box => ({
      left: Math.max(0, Math.floor((b.left - margin) / GRID) * GRID),
      top: Math.max(0, Math.floor((b.top - margin) / GRID) * GRID),
      right: Math.min(Math.ceil(f.width / GRID) * GRID, Math.ceil((b.right + margin) / GRID) * GRID),
      bottom: Math.min(Math.ceil(f.height / GRID) * GRID, Math.ceil((b.bottom + margin) / GRID) * GRID),
    });
    const wide = inside(need, AROUND_M * f.scale);
    if (wide.right <= wide.left || wide.bottom <= wide.top) return;
    const least = inside(need, 0);
    const fits = (b: Box | undefined) => holds(b, least) && area(b!) <= TOO_LARGE * area(wide);
    if (this.laying ? fits(this.laying) : fits(this.at)) return;
    this.laying = wide;
    this.lay({ which: 1 - this.front, box: wide });
  }

  /** The page has laid it. */
  laid({ which, box }: Lay): void {
    // An answer to an older order: the newest is on its way.
    if (which === this.front || !box || !this.laying || !holds(box, this.laying) || !holds(this.laying, box)) return;
    const before = this.front;
    [this.front, this.at, this.laying] = [which, box, undefined];
    const { canvas } = this.contexts[which]!;
    canvas.width = Math.round((box.right - box.left) * this.ratio);
    canvas.height = Math.round((box.bottom - box.top) * this.ratio);
    this.leaving = before;
  }

  /** Draws one frame, in device pixels of the plan; nothing is drawn before the canvas lies somewhere. */
  draw(paint: (c: Context) => void): void {
    const { at, ratio } = this;
    if (!at) return;
    const c = this.contexts[this.front]!;
    this.clear(this.front);
    c.setTransform(1, 0, 0, 1, -Math.round(at.left * ratio), -Math.round(at.top * ratio));
    paint(c);
    if (this.leaving === undefined) return;
    this.clear(this.leaving);
    if (!this.laying) this.lay({ which: this.leaving, box: undefined });
    this.leaving = undefined;
  }

  private clear(which: number): void {
    const c = this.contexts[which]!;
    c.resetTransform();
    c.clearRect(0, 0, c.canvas.width, c.canvas.height);
  }
}
