/** What a subscription ended with, and when it is asked for again. No browser is needed. */
import { expect, test } from "@playwright/test";
import { againMs, closeCode, denies, FORBIDDEN, refusalOf } from "../src/api/refusal";

test("a refusal of the server is told from a broken connection", () => {
  expect(refusalOf(undefined)).toBeUndefined();
  expect(refusalOf(new Error("socket"))).toBeUndefined();
  const refusal = refusalOf([{ message: "this needs the scope subscribe", extensions: { code: "FORBIDDEN" } }])!;
  expect([refusal.message, refusal.code]).toEqual(["this needs the scope subscribe", FORBIDDEN]);
});

test("what is refused is asked for more and more seldom, what broke off soon", () => {
  expect([0, 1, 2, 3, 6, 100].map(againMs)).toEqual([1_000, 1_000, 2_000, 4_000, 30_000, 30_000]);
});

test("a connection that was denied is told from one that was lost or given up", () => {
  expect([4401, 4403].map((code) => denies({ code }))).toEqual([true, true]);
  expect([{ code: 4499 }, { code: 1006 }, new Error("socket"), undefined].map(denies)).toEqual([false, false, false, false]);
  expect([closeCode({ code: 1_000 }), closeCode("1000")]).toEqual([1_000, undefined]);
});
