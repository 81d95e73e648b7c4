/** A canvas that is as large as its box, in device pixels, and is drawn when asked: colours come from the style sheet. */
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { theme } from "../live/prefs";
import { palette, type Palette } from "../plan/palette";

export interface Brush {
  c: CanvasRenderingContext2D;
  width: number;
  height: number;
  palette: Palette;
}

interface Props {
  /** Drawn again when one of these changes, the size, or the colours. */
  of: readonly unknown[];
  draw: (brush: Brush) => void;
  height: number;
  /** What a reader who does not see it is told. */
  label: string;
  class?: string;
}

export function Canvas({ of, draw, height, label, class: name }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const how = useRef(draw);
  how.current = draw;
  const again = useRef(() => {});
  useEffect(() => {
    const it = canvas.current!;
    const c = it.getContext("2d")!;
    let colours = palette();
    again.current = () => {
      const { clientWidth: width, clientHeight: tall } = it;
      if (!width || !tall) return;
      const ratio = Math.min(devicePixelRatio, 2);
      const [w, h] = [Math.round(width * ratio), Math.round(tall * ratio)];
      if (it.width !== w || it.height !== h) [it.width, it.height] = [w, h];
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, width, tall);
      how.current({ c, width, height: tall, palette: colours });
    };
    const recolour = () =>
      requestAnimationFrame(() => {
        colours = palette();
        again.current();
      });
    const resize = new ResizeObserver(() => again.current());
    resize.observe(it);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", recolour);
    const unlisten = theme.subscribe(recolour);
    return () => {
      resize.disconnect();
      dark.removeEventListener("change", recolour);
      unlisten();
    };
  }, []);
  // Before the frame is made that shows what surrounds it: one frame for both.
  useLayoutEffect(() => again.current(), of);
  return <canvas ref={canvas} class={`chart ${name ?? ""}`} style={{ height: `${height}px` }} role="img" aria-label={label} />;
}
