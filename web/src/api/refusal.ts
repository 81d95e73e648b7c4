/** What the server answers instead of data. */

export class Refused extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** The code of a refusal that waiting does not mend: only another token does. */
export const FORBIDDEN = "FORBIDDEN";

/** What a subscription ended with, when the server refused it; nothing when the connection broke. */
export function refusalOf(ended: unknown): Refused | undefined {
  if (!Array.isArray(ended)) return undefined;
  const [first] = ended as { message?: string; extensions?: { code?: string } }[];
  return new Refused(first?.message ?? "the server does not say why", first?.extensions?.code ?? "");
}

/** Close codes that say "you may not", by graphql-transport-ws. */
const DENIED = new Set([4401, 4403]);

/** The code a connection was closed with; nothing when it failed otherwise. */
export function closeCode(event: unknown): number | undefined {
  const { code } = (event ?? {}) as { code?: unknown };
  return typeof code === "number" ? code : undefined;
}

/** The server wants a token, or another one. */
export function denies(event: unknown): boolean {
  return DENIED.has(closeCode(event) ?? 0);
}

/** Milliseconds until a subscription is asked for again: at once after a restart, seldom when it is refused again and again. */
export function againMs(refusals: number): number {
  return Math.min(1_000 * 2 ** Math.max(0, refusals - 1), 30_000);
}
