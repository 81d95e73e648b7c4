/** The frame of the page: who this is, the views, what everybody must know before they believe what they see. */
import { useEffect, useRef } from "preact/hooks";
import { connection, keepToken, refusals, wanted } from "./api/client";
import { FORBIDDEN } from "./api/refusal";
import { shown, simulated, stale } from "./live/cycle";
import { theme } from "./live/prefs";
import { failure, site } from "./live/site";
import { PRIVACY_CLASS } from "./live/words";
import { current, VIEWS } from "./router";
import { Chip } from "./ui/chip";

export function App() {
  const view = current.value;
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${view.name} – ${site.value?.site.name ?? "Tapline"}`;
    // Another view: readers with a keyboard or a screen reader begin at its top.
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [view]);
  const Shown = view.view;
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>
        Skip to content
      </a>
      <header>
        <div class="top">
          <Mark />
          <Views />
          <States />
          <Theme />
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Token />
        <Refusals />
        <Stale />
        {failure.value && connection.value === "open" && (
          <p class="banner" role="alert">
            <strong>The server does not say what is where:</strong> {failure.value}. The page asks again.
          </p>
        )}
        {site.value ? <Shown site={site.value} /> : <p class="wait">Connecting to the server…</p>}
      </main>
    </>
  );
}

function Mark() {
  return (
    <a class="mark" href="#/" aria-label="Tapline, to the room">
      <img src="/favicon.svg" alt="" width="30" height="30" />
      <span>Tapline</span>
    </a>
  );
}

function Views() {
  const nav = useRef<HTMLElement>(null);
  const view = current.value;
  useEffect(() => {
    // On a narrow screen the list scrolls; the current view shall be seen in it. (`scrollIntoView` would also make
    // the keyboard go on from there.)
    const link = nav.current?.querySelector<HTMLElement>("[aria-current]");
    if (link) nav.current!.scrollLeft = link.offsetLeft - (nav.current!.clientWidth - link.offsetWidth) / 2;
  }, [view]);
  return (
    <nav aria-label="Views" ref={nav}>
      {VIEWS.map((v) => (
        <a key={v.path} href={`#/${v.path}`} aria-current={v === view ? "page" : undefined}>
          {v.name}
        </a>
      ))}
    </nav>
  );
}

function States() {
  const cycle = shown.value;
  return (
    <div class="states" role="status">
      {simulated.value && (
        <Chip kind="warn" title="The frames come from a generator, not from radios.">
          SIMULATED
        </Chip>
      )}
      {stale.value ? (
        <Chip kind="bad" title={stale.value}>
          {connection.value === "lost" ? "STALE · reconnecting" : "STALE"}
        </Chip>
      ) : (
        <Chip kind="good" title="Twenty cycles a second arrive.">
          LIVE
        </Chip>
      )}
      {cycle?.privacyClass && (
        <Chip
          kind="plain"
          title={
            cycle.demotions.length
              ? "Stricter than the mode, because statements contradict each other."
              : "What may leave this server."
          }
        >
          {PRIVACY_CLASS[cycle.privacyClass]}
          {cycle.demotions.length > 0 && " (demoted)"}
        </Chip>
      )}
    </div>
  );
}

/** Said in words, too, where it cannot be overlooked. */
function Stale() {
  if (!stale.value || connection.value === "denied" || !shown.value) return null;
  return (
    <p class="banner">
      <strong>What you see is old:</strong> {stale.value}.{" "}
      {connection.value === "lost" && "The page reconnects by itself."}
    </p>
  );
}

function Theme() {
  const next = { system: "light", light: "dark", dark: "system" } as const;
  const { name } = theme.value;
  return (
    <button
      class="quiet icon"
      aria-label={`Colours: ${name}. Change to ${next[name]}.`}
      title={`Colours: ${name}`}
      onClick={() => (theme.value = { name: next[name] })}
    >
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        {name === "light" ? (
          <g stroke="currentColor" stroke-width="1.6" stroke-linecap="round" fill="none">
            <circle cx="10" cy="10" r="3.4" />
            <path d="M10 2.500v1.500M10 16v1.500M2.500 10H4M16 10h1.500M4.700 4.700l1 1M14.300 14.300l1 1M15.300 4.700l-1 1M5.700 14.300l-1 1" />
          </g>
        ) : name === "dark" ? (
          <path d="M16.500 12.300A7 7 0 0 1 7.700 3.500a7 7 0 1 0 8.800 8.800z" fill="currentColor" />
        ) : (
          <>
            <circle cx="10" cy="10" r="6.700" fill="none" stroke="currentColor" stroke-width="1.6" />
            <path d="M10 3.300a6.700 6.700 0 0 1 0 13.400z" fill="currentColor" />
          </>
        )}
      </svg>
    </button>
  );
}

/** Asked when the server wants a token, or the one it got is not good or does not allow all of the page; kept for this browser
 *  session. It stays while a token is tried, so that the keyboard stays in its field. */
function Token() {
  const field = useRef<HTMLInputElement>(null);
  const want = wanted.value;
  const forbidden = [...refusals.value.values()].find((r) => r.code === FORBIDDEN);
  useEffect(() => {
    // The refused one is marked: what is typed next takes its place.
    if (want !== "refused" || connection.value !== "denied") return;
    field.current?.focus();
    field.current?.select();
  }, [want, connection.value]);
  if (!want && !forbidden) return null;
  return (
    <form
      class="panel token"
      onSubmit={(e) => {
        e.preventDefault();
        const text = field.current?.value.trim();
        if (text) keepToken(text);
      }}
    >
      <h2>{want ? "This server asks for a token" : "This token does not allow all of the page"}</h2>
      <p class="failure" role="alert">
        {want === "refused" && connection.value === "denied" && "The server refused this token. Was it revoked, or mistyped?"}
        {!want && forbidden?.message}
      </p>
      <p>
        Make one on the server with <code>tapline token create --name NAME</code>: it may read and subscribe. To calibrate, too, it
        needs <code>--scope read,subscribe,operate</code>; to exchange plugins or change the privacy mode, <code>admin</code> as well. It
        is kept until this browser tab is closed.
      </p>
      <label>
        Token <input ref={field} type="password" autocomplete="off" required />
      </label>
      <button>{want && connection.value === "connecting" ? "Trying…" : "Continue"}</button>
    </form>
  );
}

/** What a subscription is refused for other reasons than the token. */
function Refusals() {
  const said = new Set([...refusals.value.values()].filter((r) => r.code !== FORBIDDEN).map((r) => r.message));
  if (!said.size) return null;
  return (
    <p class="banner" role="alert">
      <strong>The server does not send all of it:</strong> {[...said].join("; ")}.
    </p>
  );
}
