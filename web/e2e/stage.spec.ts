/** The two canvases that people are drawn on: which is where, and which is drawn on. No browser is needed. */
import { expect, test } from "@playwright/test";
import type { Box, Frame } from "../src/plan/frame";
import { Stage, type Lay } from "../src/plan/stage";

/** A canvas that remembers whether something is on it. */
class Sheet {
  canvas = { width: 300, height: 150 };
  picture = false;
  resetTransform(): void {}
  setTransform(): void {}
  clearRect(): void {
    this.picture = false;
  }
}

const FRAME = { width: 900, height: 600, scale: 100 } as Frame;
const person = (x: number, y: number, radius = 50): Box => ({ left: x - radius, top: y - radius, right: x + radius, bottom: y + radius });

function stage() {
  const sheets = [new Sheet(), new Sheet()] as const;
  const orders: Lay[] = [];
  const it = new Stage(sheets as unknown as ConstructorParameters<typeof Stage>[0], (lay) => orders.push(lay));
  it.resize(FRAME, 2);
  const draw = () => it.draw((c) => void ((c as unknown as Sheet).picture = true));
  return { it, sheets, orders: () => orders.splice(0), draw };
}

test("the canvas of people follows them, and is never empty between", () => {
  const { it, sheets, orders, draw } = stage();
  expect(orders().map((o) => o.box)).toEqual([undefined, undefined]);
  // Before the page has laid one, nothing is drawn.
  it.want(person(300, 300));
  draw();
  expect(sheets.map((s) => s.picture)).toEqual([false, false]);
  const [first] = orders();
  // Half a metre around, on a grid of 16 pixels.
  expect(first).toEqual({ which: 1, box: { left: 192, top: 192, right: 400, bottom: 400 } });
  it.laid(first!);
  draw();
  expect(sheets.map((s) => s.picture)).toEqual([false, true]);
  expect(sheets[1].canvas).toEqual({ width: 416, height: 416 });
  orders();
  // A step within it changes nothing; one out of it lays the other, and the picture stays until that is there.
  it.want(person(340, 300));
  expect(orders()).toEqual([]);
  it.want(person(370, 300));
  const [second] = orders();
  expect(second!.which).toBe(0);
  draw();
  expect(sheets.map((s) => s.picture)).toEqual([false, true]);
  it.laid(second!);
  expect(sheets.map((s) => s.picture)).toEqual([false, true]);
  draw();
  expect(sheets.map((s) => s.picture)).toEqual([true, false]);
  expect(orders()).toEqual([{ which: 1, box: undefined }]);
});

test("an answer to an older order moves nothing, and the plan's edge bounds", () => {
  const { it, sheets, orders, draw } = stage();
  orders();
  it.want(person(300, 300));
  const [old] = orders();
  it.want(person(860, 580));
  const [fresh] = orders();
  expect(fresh!.box).toEqual({ left: 752, top: 480, right: 912, bottom: 608 });
  it.laid(old!);
  draw();
  expect(sheets.map((s) => s.picture)).toEqual([false, false]);
  it.laid(fresh!);
  draw();
  expect(sheets.map((s) => s.picture)).toEqual([false, true]);
  // Another size of the plan: the old place is worth nothing, and what is asked for next is laid.
  it.resize(FRAME, 1);
  expect(sheets.map((s) => s.picture)).toEqual([false, false]);
  orders();
  it.want(person(300, 300));
  expect(orders()).toHaveLength(1);
});

test("a canvas much larger than what is on it is laid anew", () => {
  const { it, orders, draw } = stage();
  orders();
  it.want(person(400, 300, 280));
  it.laid(orders()[0]!);
  draw();
  orders();
  it.want(person(400, 300, 200));
  expect(orders()).toEqual([]);
  it.want(person(400, 300, 40));
  const [smaller] = orders();
  expect(smaller!.box!.right - smaller!.box!.left).toBeLessThan(260);
});
