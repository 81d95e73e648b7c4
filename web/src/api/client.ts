/** The server, as the page talks to it: questions by POST, subscriptions over one websocket that comes back. */
import { signal } from "@preact/signals";
import { createClient } from "graphql-ws";
import type { TypedDocumentString } from "../generated/operations";

/** How the connection stands. `denied`: the server wants a token. */
export type Connection = "connecting" | "open" | "lost" | "denied";

export const connection = signal<Connection>("connecting");

const TOKEN = "tapline-token";

/** The bearer token of this browser session; empty when the server asks for none. */
export const token = signal(sessionStorage.getItem(TOKEN) ?? "");

export function keepToken(text: string): void {
  sessionStorage.setItem(TOKEN, text);
  token.value = text;
  connection.value = "connecting";
  client.terminate();
}

/** Close codes that say "you may not", by graphql-transport-ws. */
const DENIED = new Set([4401, 4403]);

const client = createClient({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql/ws`,
  connectionParams: () => (token.value ? { authorization: `Bearer ${token.value}` } : {}),
  keepAlive: 10_000,
  retryAttempts: Number.POSITIVE_INFINITY,
  // A server that restarts is back within a second or two; nobody should wait much longer than that.
  retryWait: (attempt) => new Promise((done) => setTimeout(done, Math.min(250 * 2 ** attempt, 2_000))),
  shouldRetry: (event) => !(event instanceof CloseEvent && DENIED.has(event.code)),
  on: {
    connected: () => (connection.value = "open"),
    closed: (event) => {
      const denied = event instanceof CloseEvent && DENIED.has(event.code);
      connection.value = denied ? "denied" : "lost";
    },
  },
});

/** What the server answered instead of data. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

type Variables<V> = V extends { [key: string]: never } ? [] : [variables: V];

/** Asks or orders once. */
export async function ask<R, V>(document: TypedDocumentString<R, V>, ...variables: Variables<V>): Promise<R> {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization() },
    body: JSON.stringify({ query: document.toString(), variables: variables[0] }),
  });
  if (response.status === 401) connection.value = "denied";
  const body = (await response.json()) as {
    data?: R;
    errors?: { message: string; extensions?: { code?: string } }[];
    error?: { message?: string; code?: string };
  };
  const error = body.errors?.[0];
  if (error) throw new Refused(error.message, error.extensions?.code ?? "");
  if (!body.data) throw new Refused(body.error?.message ?? `the server answered ${response.status}`, "");
  return body.data;
}

export function authorization(): Record<string, string> {
  return token.value ? { authorization: `Bearer ${token.value}` } : {};
}

/** Follows a subscription until the returned function is called; it outlives a lost connection. */
export function follow<R, V>(
  document: TypedDocumentString<R, V>,
  variables: V,
  next: (data: R) => void,
): () => void {
  let stopped = false;
  let waitsForToken = false;
  let stop = () => {};
  const start = () => {
    stop = client.subscribe<R>(
      { query: document.toString(), variables: variables as Record<string, unknown> },
      { next: ({ data }) => data && next(data), error: again, complete: again },
    );
  };
  // A server that stops ends its subscriptions first; this one is wanted again when it is back.
  const again = () => {
    if (stopped) return;
    if (connection.peek() === "denied") waitsForToken = true;
    else setTimeout(() => !stopped && start(), 1_000);
  };
  const unlisten = token.subscribe(() => {
    if (!waitsForToken) return;
    waitsForToken = false;
    start();
  });
  start();
  return () => {
    stopped = true;
    unlisten();
    stop();
  };
}
