/** When a silent connection is given up. No browser is needed. */
import { expect, test } from "@playwright/test";
import { Pulse, PONG_MS, SILENT_MS } from "../src/api/pulse";

/** A clock and timers that are moved by hand. */
function watched() {
  const real = { set: globalThis.setTimeout, clear: globalThis.clearTimeout };
  let now = 1_000_000;
  let timers: { at: number; act: () => void }[] = [];
  globalThis.setTimeout = ((act: () => void, ms: number) => {
    const timer = { at: now + ms, act };
    timers.push(timer);
    return timer;
  }) as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((timer: unknown) => void (timers = timers.filter((t) => t !== timer))) as typeof clearTimeout;
  let given = 0;
  const pulse = new Pulse(() => given++, () => now);
  return {
    pulse,
    given: () => given,
    pass(ms: number) {
      now += ms;
      const due = timers.filter((t) => t.at <= now);
      timers = timers.filter((t) => t.at > now);
      for (const { act } of due) act();
    },
    [Symbol.dispose]() {
      [globalThis.setTimeout, globalThis.clearTimeout] = [real.set, real.clear];
    },
  };
}

test("a ping without a pong ends the connection, once", () => {
  using it = watched();
  it.pulse.begin();
  it.pulse.asked();
  it.pass(PONG_MS - 1);
  expect(it.given()).toBe(0);
  it.pass(1);
  expect(it.given()).toBe(1);
  it.pass(10 * PONG_MS);
  expect(it.given()).toBe(1);
});

test("a pong in time keeps it, and each ping is waited for anew", () => {
  using it = watched();
  it.pulse.begin();
  for (let i = 0; i < 3; i++) {
    it.pulse.asked();
    it.pass(PONG_MS - 1);
    it.pulse.answered();
    it.pass(10_000);
  }
  expect(it.given()).toBe(0);
});

test("a connection that ended by itself is not ended again", () => {
  using it = watched();
  it.pulse.begin();
  it.pulse.asked();
  it.pulse.end();
  it.pass(2 * PONG_MS);
  it.pulse.woke();
  expect(it.given()).toBe(0);
});

test("who looks again at a page that heard nothing gets a new connection", () => {
  using it = watched();
  it.pulse.begin();
  it.pass(SILENT_MS - 1);
  it.pulse.woke();
  expect(it.given()).toBe(0);
  it.pulse.heard();
  it.pass(SILENT_MS + 1);
  it.pulse.woke();
  expect(it.given()).toBe(1);
  // The next connection is not there yet: nothing to end.
  it.pass(60_000);
  it.pulse.woke();
  expect(it.given()).toBe(1);
});
