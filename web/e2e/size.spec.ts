/** The page is small. No browser is needed. */
import { expect, test } from "@playwright/test";
import { LARGEST, scriptBytes } from "./assets";

test("the scripts are small", () => {
  expect(scriptBytes()).toBeLessThanOrEqual(LARGEST);
});
