/** The server, as the page talks to it: questions by POST, subscriptions over one websocket that comes back. */
import { signal } from "@preact/signals";
import { createClient } from "graphql-ws";
import type { TypedDocumentString } from "../generated/operations";
import { Pulse } from "./pulse";
import { againMs, closeCode, denies, FORBIDDEN, refusalOf, Refused } from "./refusal";

export { Refused };

/** How the connection stands. `denied`: the server wants a token, or another one. */
export type Connection = "connecting" | "open" | "lost" | "denied";

export const connection = signal<Connection>("connecting");

const TOKEN = "tapline-token";
/** A question that is not answered by then is given up, milliseconds. */
const ANSWER_MS = 15_000;

/** The close code of an end that was meant. */
const NORMAL = 1_000;

function stored(): string {
  try {
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    // A forbidden store: the token then lasts as long as the page.
    return "";
  }
}

/** The bearer token of this browser session; empty when the server asks for none. */
export const token = signal(stored());
/** Counts the tokens that were tried: the same one may be tried twice. */
export const tries = signal(0);
/** Set while the server wants a token: `refused`, the one that was given is not good. It stays while another one is tried. */
export const wanted = signal<"token" | "refused" | undefined>(undefined);
/** What the server refuses to send, with its reason; by who asked. */
export const refusals = signal<ReadonlyMap<object, Refused>>(new Map());

export function keepToken(text: string): void {
  // First the old connection ends: nothing shall be asked for on it in the name of the new token.
  client.terminate();
  try {
    sessionStorage.setItem(TOKEN, text);
  } catch {
    // See `stored`.
  }
  connection.value = "connecting";
  refusals.value = new Map();
  token.value = text;
  tries.value++;
}

/** The subscriptions that run. */
const running = new Set<object>();

function denied(): void {
  connection.value = "denied";
  wanted.value = token.peek() ? "refused" : "token";
}

const client = createClient({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql/ws`,
  connectionParams: () => (token.value ? { authorization: `Bearer ${token.value}` } : {}),
  keepAlive: 10_000,
  connectionAckWaitTimeout: 10_000,
  retryAttempts: Number.POSITIVE_INFINITY,
  // A server that restarts is back within a second or two; nobody should wait much longer than that.
  retryWait: (attempt) => new Promise((done) => setTimeout(done, Math.min(250 * 2 ** attempt, 2_000))),
  shouldRetry: (event) => !denies(event),
  on: {
    connected: () => {
      pulse.begin();
      wanted.value = undefined;
      connection.value = "open";
    },
    message: () => pulse.heard(),
    ping: (received) => !received && pulse.asked(),
    pong: (received) => received && pulse.answered(),
    closed: (event) => {
      pulse.end();
      // Closed by the page itself, as nobody follows anything now: the server is there all the same.
      if (closeCode(event) === NORMAL && !running.size) return;
      if (denies(event)) denied();
      else connection.value = "lost";
    },
  },
});

const pulse = new Pulse(() => client.terminate());
addEventListener("online", () => pulse.woke());
document.addEventListener("visibilitychange", () => !document.hidden && pulse.woke());

type Variables<V> = V extends { [key: string]: never } ? [] : [variables: V];

/** Asks or orders once. */
export async function ask<R, V>(document: TypedDocumentString<R, V>, ...variables: Variables<V>): Promise<R> {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization() },
    body: JSON.stringify({ query: document.toString(), variables: variables[0] }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (response.status === 401) denied();
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

/** Follows a subscription until the returned function is called; it outlives a lost connection. What the server refuses is
 *  said (`refusals`), and asked for again more and more seldom; what the token does not allow waits for another token. */
export function follow<R, V>(
  document: TypedDocumentString<R, V>,
  variables: V,
  next: (data: R) => void,
): () => void {
  const who = {};
  let stopped = false;
  let waitsForToken = false;
  let refused = 0;
  /** What came in the place of data: the server ends the subscription after it. */
  let last: Refused | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stop = () => {};
  const start = () => {
    last = undefined;
    running.add(who);
    stop = client.subscribe<R>(
      { query: document.toString(), variables: variables as Record<string, unknown> },
      {
        next: ({ data, errors }) => {
          last = refusalOf(errors);
          if (last) say(who, last);
          if (!data) return;
          refused = 0;
          if (!last) say(who, undefined);
          next(data);
        },
        error: again,
        complete: () => again(undefined),
      },
    );
  };
  // A server that stops ends its subscriptions first; this one is wanted again when it is back.
  const again = (ended: unknown) => {
    running.delete(who);
    if (stopped) return;
    const refusal = refusalOf(ended) ?? last;
    refused = refusal ? refused + 1 : 0;
    say(who, refusal);
    if (connection.peek() === "denied" || refusal?.code === FORBIDDEN) waitsForToken = true;
    else timer = setTimeout(start, againMs(refused));
  };
  const unlisten = tries.subscribe(() => {
    if (!waitsForToken) return;
    waitsForToken = false;
    start();
  });
  start();
  return () => {
    stopped = true;
    running.delete(who);
    clearTimeout(timer);
    say(who, undefined);
    unlisten();
    stop();
  };
}

function say(who: object, refusal: Refused | undefined): void {
  const known = refusals.peek();
  if (known.get(who)?.message === refusal?.message) return;
  const now = new Map(known);
  if (refusal) now.set(who, refusal);
  else now.delete(who);
  refusals.value = now;
}
