/** What the table of the view Privacy says of the class in force. No browser is needed. */
import { expect, test } from "@playwright/test";
import { leaves, RULES } from "../src/views/rules";

const said = (what: string, ...of: Parameters<typeof leaves> extends [unknown, ...infer Rest] ? Rest : never) =>
  leaves(RULES.find((r) => r.what === what)!, ...of);

test("a mode that lets out counts only lets out no person", () => {
  expect(said("Positions and poses", "ANONYMOUS", "PRIVATE_HOME")).toBe("yes");
  expect(said("Positions and poses", "ANONYMOUS", "ENTERPRISE_ANONYMOUS")).toBe("no");
  expect(said("Identity of a track", "ANONYMOUS", "ENTERPRISE_ANONYMOUS")).toBe("no");
  expect(said("Zones and counts", "ANONYMOUS", "ENTERPRISE_ANONYMOUS")).toBe("yes");
  expect(said("Zones and counts", "RESTRICTED", "ENTERPRISE_ANONYMOUS")).toBe("no");
});

test("without a mode the class alone decides", () => {
  expect(said("Positions and poses", "ANONYMOUS", undefined)).toBe("yes");
  expect(said("Impulse responses", "RAW", undefined)).toBe("yes");
  expect(said("Impulse responses", "DERIVED", undefined)).toBe("no");
});
