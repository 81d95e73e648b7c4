/** The tomographic image, on a canvas of one pixel a voxel: the browser scales and smooths it. */
import type { ImageSubscription } from "../generated/operations";
import { put, type Frame } from "./frame";
import type { Palette } from "./palette";

export type Image = ImageSubscription["image"];

/** Share of the scale's top that is kept from image to image (half-life 7 s at 10 Hz). */
const KEEP = 0.99;
/** The least that is drawn in full colour, in the unit of the shipped method: how far links are off their quiet level, over its
 *  scatter (docs/tomography.md). Three is where the server itself says that an image shows somebody (`IMAGE_SIGMA` in
 *  server/src/cycle/decide.rs). In the demo an empty room stays below 0.7, somebody who stands makes 3, who walks up to 16. */
export const FLOOR = 3;

export class Heat {
  /** Value that is drawn in full colour: the highest of late, so that a crowd does not drown it, and never below the floor, so
   *  that the noise of an empty room stays pale. */
  top = FLOOR;
  image: Image | undefined;
  private pixels: ImageData | undefined;

  constructor(private readonly canvas: OffscreenCanvas) {}

  take(image: Image): void {
    this.image = image;
    this.top = Math.max(FLOOR, KEEP * this.top, ...image.mean);
  }

  /** Nothing is shown until the next image. */
  clear(): void {
    this.image = undefined;
    this.top = FLOOR;
    // A new size empties a canvas.
    this.canvas.width = this.canvas.height = 1;
  }

  draw(p: Palette): void {
    const { image, canvas, top } = this;
    if (!image) return;
    const { nx, ny, mean } = image;
    if (canvas.width !== nx || canvas.height !== ny) [canvas.width, canvas.height] = [nx, ny];
    if (this.pixels?.width !== nx || this.pixels.height !== ny) this.pixels = new ImageData(nx, ny);
    const { data } = this.pixels;
    const [red, green, blue] = p.heat;
    for (let iy = 0; iy < ny; iy++) {
      for (let ix = 0; ix < nx; ix++) {
        const share = Math.min(1, Math.max(0, mean[iy * nx + ix]! / top));
        // y runs up in the room and down on the screen.
        const at = 4 * ((ny - 1 - iy) * nx + ix);
        data[at] = red;
        data[at + 1] = green;
        data[at + 2] = blue;
        data[at + 3] = 225 * share * share;
      }
    }
    canvas.getContext("2d")!.putImageData(this.pixels, 0, 0);
  }
}

/** Puts the canvas of an image where it lies in the room. */
export function place(canvas: HTMLCanvasElement, { nx, ny, origin, pitchM }: Image, f: Frame): void {
  const { x: left, y: top } = f.at(origin.x, origin.y + ny * pitchM);
  put(canvas, { left, top, right: left + nx * pitchM * f.scale, bottom: top + ny * pitchM * f.scale });
}
