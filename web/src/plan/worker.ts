/** Draws what changes on the floor plan, in a thread of its own: the image, links and trails ten times a second,
 *  people at the screen's rate, and nothing when nothing moved. The page's own thread has no frame to make for it. */
import { Cast } from "./cast";
import { frame, type Box, type Frame } from "./frame";
import { Heat } from "./heat";
import { drawLinks, drawTrails, TRAIL } from "./moving";
import type { Order, Seen } from "./orders";
import type { Palette } from "./palette";
import { real, tracked, type Truth } from "./person";
import { around, Stage } from "./stage";

type Context = OffscreenCanvasRenderingContext2D;
type Begin = Extract<Order, { kind: "begin" }>;

/** Without news for this long nobody moves any more, milliseconds. */
const STILL_MS = 200;

const NOTHING = { cycle: false, seen: false, real: false, stage: false };
const ALL = { cycle: true, seen: true, real: true, stage: true };

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
  private cycle: Seen | undefined;
  private truth: Truth | undefined;
  /** Who is tracked, and who is really there. */
  private readonly seen = new Cast();
  private readonly real = new Cast();
  private request = 0;
  /** What there is news of, to be drawn anew. */
  private readonly news = { ...NOTHING };
  /** When something of those that move was heard. */
  private heard = 0;
  private ratio = 1;

  constructor(private readonly begin: Begin) {
    this.heat = new Heat(begin.heat);
    this.links = begin.links.getContext("2d")!;
    const [first, second] = begin.people.map((canvas) => canvas.getContext("2d")!);
    this.people = new Stage([first!, second!], (lay) => postMessage(lay));
    this.past = begin.before.filter((_, i, all) => (all.length - 1 - i) % TRAIL.every === 0);
    this.cycle = begin.before.at(-1);
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
        this.truth = order.truth;
        this.heard = now;
        return this.again({ real: true });
      case "cycle":
        // What another process of the server tracked is nobody's past here.
        if (this.cycle && this.cycle.bootId !== order.cycle.bootId) this.past.length = 0;
        this.cycle = order.cycle;
        this.heard = now;
        if (++this.cycles % TRAIL.every === 0 && this.past.push(order.cycle) > TRAIL.points) this.past.shift();
        // Coherence is read over longer than a cycle: every second one is often enough for links.
        return this.again({ seen: true, cycle: this.cycles % 2 === 0 });
      case "laid":
        this.people.laid(order.laid);
        return this.again({ stage: true });
      case "size":
        this.ratio = order.ratio;
        this.frame = frame(this.begin.site, order.width, order.height);
        this.resizeLinks(this.frame.used, order.ratio);
        this.people.resize(this.frame, order.ratio);
        return this.again(ALL);
      case "colours":
        this.palette = order.palette;
        this.heat.draw(order.palette);
        return this.again(ALL);
      case "layers":
        this.on = order.on;
        return this.again(ALL);
    }
  }

  /** The page lays this one over what rooms and radios take of the plan. */
  private resizeLinks({ left, top, right, bottom }: Box, ratio: number): void {
    const { canvas } = this.links;
    canvas.width = Math.round((right - left) * ratio);
    canvas.height = Math.round((bottom - top) * ratio);
    this.links.setTransform(ratio, 0, 0, ratio, -left * ratio, -top * ratio);
  }

  private again(news: Partial<Drawing["news"]>): void {
    for (const name of Object.keys(this.news) as (keyof Drawing["news"])[]) this.news[name] ||= !!news[name];
    this.request ||= requestAnimationFrame(this.draw);
  }

  private readonly draw = (time: number): void => {
    this.request = 0;
    const { frame: f, palette: p, on, news } = this;
    if (!f || !p || !on) return;
    if (news.cycle) this.drawCycle(f, p, on);
    this.drawPeople(f, p, on, time);
    Object.assign(news, NOTHING);
    // While somebody is there every frame is asked for, also those in which they stand: to begin anew takes a frame.
    if (!(this.seen.empty && this.real.empty) && time - this.heard < STILL_MS) this.request = requestAnimationFrame(this.draw);
  };

  private drawCycle(f: Frame, p: Palette, on: NonNullable<Drawing["on"]>): void {
    const c = this.links;
    c.clearRect(0, 0, f.width, f.height);
    if (this.cycle && on.links) drawLinks(c, f, p, this.begin.site, this.cycle);
    if (this.cycle && on.trails) drawTrails(c, f, p, [...this.past, this.cycle]);
  }

  private drawPeople(f: Frame, p: Palette, on: NonNullable<Drawing["on"]>, time: number): void {
    const { news, seen, real: there, ratio } = this;
    const casts = [there, seen];
    const shown = !casts.every((cast) => cast.empty);
    if (news.seen) seen.renew((this.cycle?.tracks ?? []).flatMap((track) => tracked(f, p, track, on.figures) ?? []), ratio, time);
    if (news.real) there.renew((on.truth ? (this.truth?.people ?? []) : []).map((it) => real(f, p, it, on.figures)), ratio, time);
    const any = news.seen || news.real || news.stage;
    if (!any && casts.every((cast) => cast.still(time))) return;
    const reach = casts.flatMap((cast) => cast.reach(f, time) ?? []);
    if (!reach.length && !shown) return;
    if (any && reach.length) this.people.want(around(reach));
    this.people.draw((c) => casts.forEach((cast) => cast.show(c, f, ratio, time)));
  }
}

let drawing: Drawing | undefined;

addEventListener("message", ({ data }: MessageEvent<Order>) => {
  if (data.kind === "begin") drawing = new Drawing(data);
  else drawing?.take(data);
});
