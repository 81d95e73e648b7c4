/** The impulse response of a link: as it is now, a stem a tap, and below it the last seconds, newest on top. */
import type { ResponseSubscription } from "../generated/operations";
import type { Brush } from "../ui/canvas";
import { rgb } from "./palette";

export type Response = ResponseSubscription["response"];

/** Messages that are kept: 20 s. */
const ROWS = 400;
/** Delay up to which taps are drawn, nanoseconds: 75 m of way. */
const SHOWN_NS = 250;
/** What is drawn below the strongest tap, dB. */
const DEPTH_DB = 45;
/** Metres of way a nanosecond of delay stands for. */
const M_PER_NS = 0.299792458;

export class Waterfall {
  /** Newest first, one a cycle: where a row stands is how old it is. Without taps, where none came. */
  rows: Response[] = [];
  /** Power of the strongest tap of late, dB. */
  private top = Number.NEGATIVE_INFINITY;
  private image: ImageData | undefined;

  constructor(private readonly pixels = document.createElement("canvas")) {}

  take(response: Response): void {
    const last = this.rows[0];
    if (last) {
      const { tick, stepNs } = response;
      // The ticks of another process begin anew.
      if (stepNs !== last.stepNs || tick < last.tick || tick - last.tick >= ROWS) this.clear();
      else for (let t = last.tick + 1; t < tick; t++) this.rows.unshift({ ...response, tick: t, powerDb: [] });
    }
    this.rows.unshift(response);
    if (this.rows.length > ROWS) this.rows.length = ROWS;
    const peak = Math.max(...response.powerDb.map((p) => p ?? Number.NEGATIVE_INFINITY));
    this.top = Math.max(peak, this.top - 0.02);
  }

  clear(): void {
    this.rows = [];
    this.top = Number.NEGATIVE_INFINITY;
  }

  get empty(): boolean {
    return !this.rows.some((r) => r.powerDb.length);
  }

  /** Share of the scale, 0 to 1. */
  private level(power: number | null | undefined): number {
    return power == null ? 0 : Math.min(1, Math.max(0, 1 - (this.top - power) / DEPTH_DB));
  }

  draw({ c, width, height, palette: p }: Brush): void {
    const [left, stems, axis] = [44, Math.min(190, height * 0.36), 40];
    const first = this.rows.find((r) => r.powerDb.length);
    if (!first) return;
    const taps = Math.min(first.powerDb.length, Math.ceil((SHOWN_NS - first.firstNs) / first.stepNs));
    const x = (tap: number) => left + ((tap + 0.5) * (width - left)) / taps;
    const tall = height - stems - axis;

    // Delay 0: where the shortest way would arrive.
    const zero = x(-first.firstNs / first.stepNs);
    c.strokeStyle = p.edge;
    c.setLineDash([3, 4]);
    c.beginPath();
    c.moveTo(zero, 0);
    c.lineTo(zero, stems + tall);
    c.stroke();
    c.setLineDash([]);

    // The newest answer as stems: what a tapped delay line is.
    c.font = `400 11.5px ${p.font}`;
    c.textAlign = "right";
    c.textBaseline = "middle";
    c.fillStyle = p.quiet;
    c.strokeStyle = p.line;
    c.lineWidth = 1;
    for (const db of [0, -15, -30, -45]) {
      const y = 10 + ((stems - 22) * -db) / DEPTH_DB;
      c.beginPath();
      c.moveTo(left, Math.round(y) + 0.5);
      c.lineTo(width, Math.round(y) + 0.5);
      c.stroke();
      c.fillText(db === 0 ? "0 dB" : `${db}`.replace("-", "−"), left - 8, y);
    }
    c.strokeStyle = p.accent;
    c.fillStyle = p.accent;
    c.lineWidth = Math.max(2, Math.min(5, (width - left) / taps / 4));
    c.lineCap = "round";
    for (const [tap, power] of this.rows[0]!.powerDb.slice(0, taps).entries()) {
      const level = this.level(power);
      if (level <= 0) continue;
      const y = stems - 12 - (stems - 22) * level;
      c.beginPath();
      c.moveTo(x(tap), stems - 12);
      c.lineTo(x(tap), y);
      c.stroke();
      c.beginPath();
      c.arc(x(tap), y, c.lineWidth * 0.9, 0, 2 * Math.PI);
      c.fill();
    }
    c.lineCap = "butt";

    this.paint(taps, p.heat, rgb(p.sunken));
    c.imageSmoothingEnabled = false;
    c.drawImage(this.pixels, 0, 0, taps, ROWS, left, stems, width - left, tall);

    c.fillStyle = p.quiet;
    c.textAlign = "right";
    for (const seconds of [0, 5, 10, 15]) {
      c.fillText(seconds ? `−${seconds} s` : "now", left - 8, stems + (tall * seconds * 20) / ROWS + 7);
    }
    c.textAlign = "center";
    c.textBaseline = "alphabetic";
    const last = first.firstNs + taps * first.stepNs;
    const step = width < 560 ? 100 : 50;
    for (let ns = Math.ceil(first.firstNs / step) * step; ns < last; ns += step) {
      const at = x((ns - first.firstNs) / first.stepNs);
      if (at > width - 30 || at < left + 10) continue;
      c.fillStyle = p.ink;
      c.fillText(`${ns} ns`, at, height - 22);
      c.fillStyle = p.quiet;
      c.fillText(`${(ns * M_PER_NS).toFixed(0)} m`, at, height - 7);
    }
  }

  private paint(taps: number, heat: [number, number, number], ground: [number, number, number]): void {
    const { pixels } = this;
    if (pixels.width !== taps || pixels.height !== ROWS) [pixels.width, pixels.height] = [taps, ROWS];
    if (this.image?.width !== taps) this.image = new ImageData(taps, ROWS);
    const { data } = this.image;
    for (let y = 0; y < ROWS; y++) {
      const row = this.rows[y]?.powerDb;
      for (let tap = 0; tap < taps; tap++) {
        const share = row ? this.level(row[tap]) ** 1.4 : 0;
        const at = 4 * (y * taps + tap);
        for (let i = 0; i < 3; i++) data[at + i] = ground[i]! + (heat[i]! - ground[i]!) * share;
        data[at + 3] = 255;
      }
    }
    pixels.getContext("2d")!.putImageData(this.image, 0, 0);
  }
}
