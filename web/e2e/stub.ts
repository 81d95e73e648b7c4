/** So much of a browser that a module of the page which talks to the server can be loaded without one. */

/** Names of the document's events, with who hears them. */
export const heard = new Map<string, () => void>();

type Answer = (query: string, variables: Record<string, unknown>) => unknown;

/** Loads no page: puts in what its modules take from the browser, with a server that answers as `answer` says. */
export function stub(answer: Answer): void {
  const document = { hidden: false, addEventListener: (name: string, act: () => void) => heard.set(name, act) };
  const location = { protocol: "http:", host: "127.0.0.1" };
  Object.assign(globalThis, { document, location, addEventListener: () => {}, WebSocket: class {} });
  globalThis.fetch = (async (_: string, { body }: { body: string }) => {
    const { query, variables } = JSON.parse(body) as { query: string; variables: Record<string, unknown> };
    try {
      const data = await answer(query, variables);
      return { status: 200, json: async () => ({ data }) };
    } catch (error) {
      return { status: 200, json: async () => ({ errors: [{ message: (error as Error).message }] }) };
    }
  }) as unknown as typeof fetch;
}
