/** Starts the worker that draws. The server's policy lets no text become a script without a policy of that name
 *  (`trusted-types` in server/src/api/page.rs); this one knows a single address. */
import address from "./worker.ts?worker&url";

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (text: string) => string }): { createScriptURL(text: string): string };
}

const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };

const policy = trustedTypes?.createPolicy("tapline", {
  createScriptURL: (text) => {
    if (text !== address) throw new TypeError(`no script of this page: ${text}`);
    return text;
  },
});

export function draftsman(): Worker {
  return new Worker(policy?.createScriptURL(address) ?? address, { type: "module" });
}
