// A typed client of a Tapline server. Subscriptions reconnect by themselves; `skipped` in each message says what was left
// out while this client was behind, and a new `bootId` that the server was started again.
import { createClient, type Client } from "graphql-ws";
import { PosesDocument, StatusDocument, type PosesSubscription, type StatusQuery } from "./generated/operations.js";

export type PoseFrame = PosesSubscription["poses"];
export type Status = StatusQuery;

export interface Options {
  /** The server, for example `http://127.0.0.1:8080`. */
  url: string;
  /** From `tapline token create`; none on a loopback address without tokens. */
  token?: string;
  /** For Node before 22: the class of the package `ws`. */
  webSocketImpl?: unknown;
}

/** How often the server is asked whether it is still there, and how long its answer may take, milliseconds. */
const [PING_MS, PONG_MS] = [10_000, 5_000];
/** The server closes with this code when a client took no bytes for too long; graphql-ws would not come back after it. */
const TOO_SLOW = 1008;
const AGAIN_MS = 1_000;

/** A refusal of the server: `code` is stable, `help` says what to do. */
export class TaplineError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly help: string | undefined,
  ) {
    super(message);
  }
}

export class Tapline {
  readonly #options: Options;
  readonly #socket: Client;

  constructor(options: Options) {
    this.#options = options;
    let wait: ReturnType<typeof setTimeout> | undefined;
    const answered = () => {
      clearTimeout(wait);
      wait = undefined;
    };
    this.#socket = createClient({
      url: new URL("/graphql/ws", options.url).href.replace(/^http/, "ws"),
      webSocketImpl: options.webSocketImpl,
      connectionParams: options.token ? { authorization: `Bearer ${options.token}` } : {},
      retryAttempts: Infinity,
      keepAlive: PING_MS,
      on: {
        // A cable that is pulled closes nothing: only an answer that does not come tells.
        ping: (received) => {
          if (!received) wait ??= setTimeout(() => (answered(), this.#socket.terminate()), PONG_MS);
        },
        pong: (received) => received && answered(),
        closed: answered,
      },
      // A refused token does not become a good one by asking again.
      shouldRetry: (cause) => (cause as { code?: number }).code !== 4403,
    });
  }

  /** How the server and its radios are doing. */
  async status(): Promise<Status> {
    return this.query<Status>(StatusDocument.toString());
  }

  /** People and occupancy, 20 times a second, until the loop is left. */
  async *poses(): AsyncGenerator<PoseFrame> {
    for (;;) {
      try {
        for await (const { data, errors } of this.#socket.iterate<PosesSubscription>({ query: PosesDocument.toString() })) {
          if (errors?.[0]) throw refusal(errors[0]);
          if (data) yield data.poses;
        }
        return;
      } catch (cause) {
        if ((cause as { code?: unknown }).code !== TOO_SLOW) throw cause;
        await new Promise((done) => setTimeout(done, AGAIN_MS));
      }
    }
  }

  /** Any question or order. */
  async query<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (this.#options.token) headers.authorization = `Bearer ${this.#options.token}`;
    const response = await fetch(new URL("/graphql", this.#options.url), {
      method: "POST",
      headers,
      body: JSON.stringify({ query, variables }),
    });
    const answer = (await response.json()) as {
      data?: Data;
      errors?: Refused[];
      error?: { code: string; message: string; help: string };
    };
    if (answer.error) throw new TaplineError(answer.error.message, answer.error.code, answer.error.help);
    if (answer.errors?.[0]) throw refusal(answer.errors[0]);
    return answer.data as Data;
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    await this.#socket.dispose();
  }
}

interface Refused {
  readonly message: string;
  readonly extensions?: { readonly [name: string]: unknown };
}

function refusal({ message, extensions }: Refused): TaplineError {
  return new TaplineError(message, String(extensions?.code ?? "UNKNOWN"), extensions?.help as string | undefined);
}
