/** The choice in the dialog that exchanges a plugin. No browser is needed. */
import { expect, test } from "@playwright/test";
import { available, fitting, keyOf, proposed, type Candidate } from "../src/views/candidates";

const candidate = (plugin: string, more: Partial<Candidate> = {}): Candidate => ({
  plugin,
  stage: null,
  file: `lib${plugin}.so`,
  cpu: "baseline",
  blake3: "aa",
  size: 1,
  refused: null,
  ...more,
});

test("a choice outlives the next answer, in which all objects are new", () => {
  const list = () => [candidate("cir-fft"), candidate("cir-dense")];
  const key = proposed(list(), "cir-fft");
  expect(available(list(), key)?.plugin).toBe("cir-dense");
});

test("what is gone, refused or another file by now is not sent", () => {
  const key = keyOf(candidate("cir-dense"));
  expect(available([candidate("cir-fft")], key)).toBeUndefined();
  expect(available([candidate("cir-dense", { refused: "unsigned" })], key)).toBeUndefined();
  expect(available([candidate("cir-dense", { blake3: "bb" })], key)).toBeUndefined();
});

test("nothing that is refused is proposed", () => {
  expect(proposed([candidate("cir-dense", { refused: "unsigned" })], "cir-fft")).toBeUndefined();
  expect(proposed([candidate("cir-fft"), candidate("cir-dense", { refused: "unsigned" })], "cir-fft")).toBe(keyOf(candidate("cir-fft")));
});

test("a library without a stage is offered where its name allows", () => {
  const list = [candidate("cir-fft"), candidate("tracker"), candidate("other"), candidate("linked", { stage: "TRACKER" })];
  expect(fitting("CIR", list).map((c) => c.plugin)).toEqual(["cir-fft", "other"]);
  expect(fitting("TRACKER", list).map((c) => c.plugin)).toEqual(["tracker", "other", "linked"]);
});
