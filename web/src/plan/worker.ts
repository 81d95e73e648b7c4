/** Draws what changes on the floor plan, in a thread of its own: the image, links and trails ten times a second,
 *  people at the screen's rate, and nothing when nothing moved. The page's own thread has no frame to make for it. */
import { frame, type Frame } from "./frame";
import { Heat } from "./heat";
import { drawLinks, drawPeople, drawTrails, drawTruth, places, reach, TRAIL, type Between, type Truth } from "./moving";
import type { Order, Seen } from "./orders";
import type { Palette } from "./palette";
import { Stage } from "./stage";

type Context = OffscreenCanvasRenderingContext2D;
type Begin = Extract<Order, { kind: "begin" }>;

/** Milliseconds from where somebody is shown to the newest place. A cycle lasts 50: the next place comes before the last is
 *  reached, so that nobody stops and starts when cycles come a little early or late. */
const WAY_MS = 70;
/** Without news for this long nobody moves any more, milliseconds. */
const STILL_MS = 200;

/** What is there, from where each moves to it, and when it arrived. */
interface Arrived<T> extends Omit<Between<T>, "share"> {
  at: number;
}

/** How far somebody has come by a time. */
function between<T>(of: Arrived<T>, time: number): Between<T> {
  return { ...of, share: Math.min(1, Math.max(0, (time - of.at) / WAY_MS)) };
}

class Drawing {
  private readonly heat: Heat;
  private readonly links: Context;
  private readonly people: Stage;
  /** For trails: each `TRAIL.every`th cycle. */
  private readonly past: Seen[];
  private cycles = 0;
  private frame: Frame | undefined;
  private palette: Palette | undefined;
  private on: Extract<Order, { kind: "layers" }>["on"] | undefined;
  private cycle: Arrived<Seen> | undefined;
  private truth: Arrived<Truth> | undefined;
  private request = 0;
  /** Links and trails are to be drawn anew. */
  private cycled = false;
  /** People are to be drawn anew, though they may stand where they stood. */
  private posed = false;

  constructor(private readonly begin: Begin) {
    this.heat = new Heat(begin.heat);
    this.links = begin.links.getContext("2d")!;
    const [first, second] = begin.people.map((canvas) => canvas.getContext("2d")!);
    this.people = new Stage([first!, second!], (lay) => postMessage(lay));
    this.past = begin.before.filter((_, i, all) => (all.length - 1 - i) % TRAIL.every === 0);
    const newest = begin.before.at(-1);
    if (newest) this.cycle = { from: new Map(), to: newest, at: performance.now() };
  }

  take(order: Exclude<Order, Begin>): void {
    const now = performance.now();
    switch (order.kind) {
      case "image":
        this.heat.take(order.image);
        if (this.palette) this.heat.draw(this.palette);
        return;
      case "forget":
        this.heat.clear();
        return;
      case "truth":
        this.truth = {
          from: this.truth ? places(between(this.truth, now), this.truth.to.people) : new Map(),
          to: order.truth,
          at: now,
        };
        return this.again(false, true);
      case "cycle":
        // What another process of the server tracked is nobody's past here.
        if (this.cycle && this.cycle.to.bootId !== order.cycle.bootId) [this.cycle, this.past.length] = [undefined, 0];
        this.cycle = {
          from: this.cycle ? places(between(this.cycle, now), this.cycle.to.tracks) : new Map(),
          to: order.cycle,
          at: now,
        };
        if (++this.cycles % TRAIL.every === 0 && this.past.push(order.cycle) > TRAIL.points) this.past.shift();
        // Coherence is read over longer than a cycle: every second one is often enough for links.
        return this.again(this.cycles % 2 === 0, true);
      case "laid":
        this.people.laid(order.laid);
        return this.again(false, true);
      case "size":
        this.links.canvas.width = Math.round(order.width * order.ratio);
        this.links.canvas.height = Math.round(order.height * order.ratio);
        this.links.setTransform(order.ratio, 0, 0, order.ratio, 0, 0);
        this.frame = frame(this.begin.site, order.width, order.height);
        this.people.resize(this.frame, order.ratio);
        return this.again(true, true);
      case "colours":
        this.palette = order.palette;
        this.heat.draw(order.palette);
        return this.again(true, true);
      case "layers":
        this.on = order.on;
        return this.again(true, true);
    }
  }

  private again(cycled: boolean, posed: boolean): void {
    this.cycled ||= cycled;
    this.posed ||= posed;
    this.request ||= requestAnimationFrame(this.draw);
  }

  private readonly draw = (time: number): void => {
    this.request = 0;
    const { frame: f, palette: p, on } = this;
    if (!f || !p || !on) return;
    if (this.cycled) this.drawCycle(f, p, on);
    if (this.posed) this.drawPoses(f, p, on, time);
    // While somebody is there every frame is asked for, also those in which they stand: to begin anew takes a frame.
    const heard = Math.max(this.cycle?.at ?? 0, this.truth?.at ?? 0);
    if (this.shown && time - heard < STILL_MS) this.request = requestAnimationFrame(this.draw);
  };

  private drawCycle(f: Frame, p: Palette, on: NonNullable<Drawing["on"]>): void {
    this.cycled = false;
    const c = this.links;
    c.clearRect(0, 0, f.width, f.height);
    if (this.cycle && on.links) drawLinks(c, f, p, this.begin.site, this.cycle.to);
    if (this.cycle && on.trails) drawTrails(c, f, p, [...this.past, this.cycle.to]);
  }

  /** Whether the people's canvas shows somebody. */
  private shown = false;

  private drawPoses(f: Frame, p: Palette, on: NonNullable<Drawing["on"]>, time: number): void {
    const truth = on.truth && this.truth ? between(this.truth, time) : undefined;
    const cycle = this.cycle && between(this.cycle, time);
    const somebody = !!truth?.to.people.length || !!cycle?.to.tracks.length;
    this.posed = somebody && ((truth?.share ?? 1) < 1 || (cycle?.share ?? 1) < 1);
    if (!somebody && !this.shown) return;
    this.shown = somebody;
    const need = reach(f, cycle, truth, on.figures);
    if (need) this.people.want(need);
    this.people.draw((c) => {
      if (truth) drawTruth(c, f, p, truth, on.figures);
      if (cycle) drawPeople(c, f, p, cycle, on.figures);
    });
  }
}

let drawing: Drawing | undefined;

addEventListener("message", ({ data }: MessageEvent<Order>) => {
  if (data.kind === "begin") drawing = new Drawing(data);
  else drawing?.take(data);
});
