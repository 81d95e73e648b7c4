/** The floor plan: layers of canvas. Two stand still and are drawn here, on change; the image, links with trails, and people
 *  are drawn by a worker (`worker.ts`). Its textual equivalent is the table of people beside it. */
import { computed, effect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { follow } from "../api/client";
import { ImageDocument, TruthDocument } from "../generated/operations";
import { imaged, listeners, recent, shown, stale } from "../live/cycle";
import { layers, theme } from "../live/prefs";
import type { Site } from "../live/site";
import { aspect, frame, put, type Frame } from "./frame";
import { place, type Image } from "./heat";
import { TRAIL } from "./moving";
import { seen, type Order } from "./orders";
import { palette, type Palette } from "./palette";
import { outdated, pictured } from "./picture";
import { shape } from "./shape";
import type { Lay } from "./stage";
import { drawFloor, drawWalls } from "./still";
import { draftsman } from "./thread";

/** Only this layer: another one that is switched does not begin the image anew. */
const heated = computed(() => layers.value.heat);

export function Plan({ site }: { site: Site }) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useMemo(() => shape(site), [site]);
  useEffect(() => new Drawing(box.current!, site).stop, [drawn]);
  return <div class="plan" ref={box} style={{ aspectRatio: `1 / ${aspect(site)}` }} />;
}

class Drawing {
  private readonly floor: CanvasRenderingContext2D;
  private readonly walls: CanvasRenderingContext2D;
  private readonly heat: HTMLCanvasElement;
  private readonly links: HTMLCanvasElement;
  private readonly people: HTMLCanvasElement[];
  private readonly worker = draftsman();
  private frame: Frame;
  private palette: Palette = palette();
  /** The image that is shown. */
  private image: Image | undefined;
  /** Its tick; without one, that of the cycle since which it is waited for. */
  private imageTick: number | undefined;
  private readonly ends: (() => void)[] = [];

  constructor(
    private readonly box: HTMLElement,
    private readonly site: Site,
  ) {
    // From the lowest to the highest. Made here, not by the component: a canvas goes to a worker once.
    const canvas = (name: string) => {
      const made = document.createElement("canvas");
      made.ariaHidden = "true";
      made.className = name;
      box.append(made);
      this.ends.push(() => made.remove());
      return made;
    };
    this.floor = canvas("whole").getContext("2d")!;
    this.heat = canvas("");
    this.walls = canvas("whole").getContext("2d")!;
    this.links = canvas("");
    this.people = [canvas(""), canvas("")];
    this.frame = frame(site, 1, 1);
    const links = this.links.transferControlToOffscreen();
    const heat = this.heat.transferControlToOffscreen();
    const [first, second] = this.people.map((c) => c.transferControlToOffscreen());
    const people: [OffscreenCanvas, OffscreenCanvas] = [first!, second!];
    const before = recent().slice(-TRAIL.every * TRAIL.points).map(seen);
    this.order({ kind: "begin", site, heat, links, people, before }, [heat, links, ...people]);
    this.worker.onmessage = ({ data }: MessageEvent<Lay>) => this.lay(data);
    const resize = new ResizeObserver(() => this.resize());
    resize.observe(box);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = () => requestAnimationFrame(() => this.recolour());
    dark.addEventListener("change", recolour);
    const cycle = (it: Parameters<typeof seen>[0]) => {
      // Where tomography does not run, nothing is sent: the last image must not stay for now.
      this.imageTick ??= it.tick;
      if (outdated(this.imageTick, it.tick)) this.noImage();
      this.order({ kind: "cycle", cycle: seen(it) });
    };
    listeners.add(cycle);
    this.ends.push(
      () => this.worker.terminate(),
      () => resize.disconnect(),
      () => dark.removeEventListener("change", recolour),
      () => listeners.delete(cycle),
      theme.subscribe(recolour),
      effect(() => this.order({ kind: "layers", on: layers.value })),
      // What is old is drawn pale: nobody shall take it for now.
      effect(() => void box.classList.toggle("old", stale.value !== undefined)),
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
        this.forgetImage();
        this.heat.hidden = !heated.value;
        if (heated.value) return this.followImage();
      }),
    );
    if (site.demo) {
      this.ends.push(follow(TruthDocument, {}, ({ truth }) => this.order({ kind: "truth", truth })));
    }
  }

  private states: string | undefined;

  readonly stop = (): void => {
    for (const end of this.ends) end();
  };

  private order(order: Order, given: Transferable[] = []): void {
    this.worker.postMessage(order, given);
  }

  /** Lays a canvas where the worker wants it, and says so when the screen shows it there. */
  private lay(laid: Lay): void {
    const { which, box } = laid;
    const canvas = this.people[which]!;
    canvas.hidden = !box;
    if (!box) return;
    put(canvas, box);
    requestAnimationFrame(() => requestAnimationFrame(() => this.order({ kind: "laid", laid })));
  }

  private forgetImage(): void {
    this.image = this.imageTick = undefined;
    pictured.value = undefined;
    this.order({ kind: "forget" });
  }

  private noImage(): void {
    if (this.image) this.forgetImage();
    pictured.value = false;
  }

  private followImage(): () => void {
    return follow(ImageDocument, {}, ({ image }) => {
      const first = !this.image;
      this.image = image;
      this.imageTick = image.tick;
      pictured.value = true;
      if (first) place(this.heat, image, this.frame);
      this.order({ kind: "image", image });
    });
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio, 2);
    for (const c of [this.floor, this.walls]) {
      c.canvas.width = Math.round(width * ratio);
      c.canvas.height = Math.round(height * ratio);
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.frame = frame(this.site, width, height);
    if (this.image) place(this.heat, this.image, this.frame);
    put(this.links, this.frame.used);
    this.order({ kind: "size", width, height, ratio });
    this.recolour();
  }

  private recolour(): void {
    this.palette = palette();
    this.order({ kind: "colours", palette: this.palette });
    this.still();
  }

  private still(): void {
    for (const c of [this.floor, this.walls]) c.clearRect(0, 0, this.frame.width, this.frame.height);
    drawFloor(this.floor, this.frame, this.palette, this.site, shown.peek());
    drawWalls(this.walls, this.frame, this.palette, this.site);
  }
}
