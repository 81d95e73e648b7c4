/** The floor plan: five layers of canvas. Two stand still, the image changes ten times a second, links and trails with each
 *  cycle, and people move at the screen's rate. Its textual equivalent is the table of people beside it. */
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { follow } from "../api/client";
import { ImageDocument, TruthDocument } from "../generated/operations";
import { imaged, latest, recent, shown, stale } from "../live/cycle";
import { layers, theme } from "../live/prefs";
import type { Site } from "../live/site";
import { aspect, frame, type Frame } from "./frame";
import { Heat } from "./heat";
import { drawLinks, drawPeople, drawTrails, drawTruth, type Truth } from "./moving";
import { palette, type Palette } from "./palette";
import { drawFloor, drawNodes, drawWalls } from "./still";

/** Milliseconds between two cycles: what is drawn runs this far behind, and smoothly. */
const CYCLE_MS = 50;

export function Plan({ site }: { site: Site }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => new Drawing(box.current!, site).stop, [site]);
  return (
    <div class="plan" ref={box} style={{ aspectRatio: `1 / ${aspect(site)}` }}>
      <canvas aria-hidden="true" />
      <canvas aria-hidden="true" class="heat" />
      <canvas aria-hidden="true" />
      <canvas aria-hidden="true" />
      <canvas aria-hidden="true" />
    </div>
  );
}

class Drawing {
  private readonly contexts: CanvasRenderingContext2D[];
  private readonly heat: Heat;
  private frame: Frame;
  private palette: Palette = palette();
  private truth: { from: Truth | undefined; to: Truth; at: number } | undefined;
  private request = 0;
  private readonly ends: (() => void)[] = [];

  constructor(
    private readonly box: HTMLElement,
    private readonly site: Site,
  ) {
    const canvases = [...box.querySelectorAll("canvas")];
    this.heat = new Heat(canvases[1]!);
    this.contexts = canvases.map((canvas) => canvas.getContext("2d")!);
    this.frame = frame(site, 1, 1);
    const resize = new ResizeObserver(() => this.resize());
    resize.observe(box);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = () => requestAnimationFrame(() => this.still());
    dark.addEventListener("change", recolour);
    this.ends.push(
      () => resize.disconnect(),
      () => dark.removeEventListener("change", recolour),
      theme.subscribe(recolour),
      effect(() => {
        // A zone that changes its state changes its floor.
        const states = shown.value?.zones.map((z) => z.presence.state).join();
        if (states !== this.states) {
          this.states = states;
          this.still();
        }
      }),
      effect(() => {
        // Under a class that keeps the image back the last one must not stay.
        void imaged.value;
        this.heat.clear();
        canvases[1]!.hidden = !layers.value.heat;
        if (layers.value.heat) return this.followImage();
      }),
    );
    if (site.demo) this.ends.push(this.followTruth());
    this.request = requestAnimationFrame(this.moving);
  }

  private states: string | undefined;

  readonly stop = (): void => {
    cancelAnimationFrame(this.request);
    for (const end of this.ends) end();
  };

  private followImage(): () => void {
    return follow(ImageDocument, {}, ({ image }) => {
      const first = !this.heat.image;
      this.heat.take(image);
      if (first) this.heat.place(this.frame);
      this.heat.draw(this.palette);
    });
  }

  private followTruth(): () => void {
    return follow(TruthDocument, {}, ({ truth }) => {
      this.truth = { from: this.truth?.to, to: truth, at: performance.now() };
    });
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio, 2);
    for (const [i, c] of this.contexts.entries()) {
      if (i === 1) continue;
      c.canvas.width = Math.round(width * ratio);
      c.canvas.height = Math.round(height * ratio);
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.frame = frame(this.site, width, height);
    this.heat.place(this.frame);
    this.still();
  }

  private still(): void {
    this.palette = palette();
    const [floor, , walls] = this.contexts;
    for (const c of [floor!, walls!]) c.clearRect(0, 0, this.frame.width, this.frame.height);
    drawFloor(floor!, this.frame, this.palette, this.site, shown.peek());
    drawWalls(walls!, this.frame, this.palette, this.site);
    this.heat.draw(this.palette);
  }

  /** What of the past is drawn: one cycle, on these layers. */
  private drawn: readonly unknown[] = [];

  /** Links, nodes and trails: new with each cycle. */
  private cycled(newest: ReturnType<typeof latest>): void {
    const on = layers.peek();
    const what = [newest?.now, on.links, on.trails, this.frame, this.palette];
    if (what.every((v, i) => v === this.drawn[i]) && this.drawn.length) return;
    this.drawn = what;
    const c = this.contexts[3]!;
    const { frame: f, palette: p, site } = this;
    c.clearRect(0, 0, f.width, f.height);
    if (newest && on.links) drawLinks(c, f, p, site, newest.now.cycle);
    drawNodes(c, f, p, site);
    if (newest && on.trails) drawTrails(c, f, p, recent());
  }

  /** What the people's layer shows; drawn again only when that changes. */
  private posed: readonly unknown[] = [];

  private readonly moving = (time: number): void => {
    this.request = requestAnimationFrame(this.moving);
    const newest = latest();
    const on = layers.peek();
    // What is old is drawn pale: nobody shall take it for now.
    this.box.classList.toggle("old", stale.peek() !== undefined);
    this.cycled(newest);
    const truth = on.truth ? this.truth : undefined;
    const truthShare = truth ? Math.min(1, (time - truth.at) / CYCLE_MS) : 1;
    const share = newest ? Math.min(1, Math.max(0, (time - newest.now.at) / CYCLE_MS)) : 1;
    const nobody = !truth?.to.people.length && !newest?.now.cycle.tracks.length;
    const what = nobody ? [this.frame] : [newest?.now, share, truth, truthShare, on.figures, this.frame, this.palette];
    if (what.length === this.posed.length && what.every((v, i) => v === this.posed[i])) return;
    this.posed = what;
    const c = this.contexts[4]!;
    const { frame: f, palette: p } = this;
    c.clearRect(0, 0, f.width, f.height);
    if (truth) drawTruth(c, f, p, { ...truth, share: truthShare }, on.figures);
    if (newest) drawPeople(c, f, p, { from: newest.before?.cycle, to: newest.now.cycle, share }, on.figures);
  };
}
