import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { connection, keepToken } from "./api/client";
import { shown, stale } from "./live/cycle";
import { theme } from "./live/prefs";
import { site } from "./live/site";
import { names, PRIVACY_CLASS } from "./live/words";
import { Chip } from "./ui/chip";
import { Room } from "./views/room";

const VIEWS = [
  { path: "", name: "Room", view: Room },
] as const;

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export function App() {
  const current = VIEWS.find((v) => `#/${v.path}` === hash.value) ?? VIEWS[0];
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${current.name} – ${site.value?.site.name ?? "Tapline"}`;
    // Another view: readers with a keyboard or a screen reader begin at its top.
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [current, site.value]);
  const View = current.view;
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>
        Skip to content
      </a>
      <header>
        <div class="bar">
          <Mark />
          <nav aria-label="Views">
            {VIEWS.map((v) => (
              <a key={v.path} href={`#/${v.path}`} aria-current={v === current ? "page" : undefined}>
                {v.name}
              </a>
            ))}
          </nav>
          <States />
          <Theme />
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Token />
        {site.value ? <View site={site.value} /> : <p class="wait">Connecting to the server…</p>}
      </main>
    </>
  );
}

function Mark() {
  return (
    <div class="mark">
      <img src="/favicon.svg" alt="" width="28" height="28" />
      <div>
        <h1>Tapline</h1>
        <span>{site.value ? names(site.value.site.id, site.value.site.name) : ""}</span>
      </div>
    </div>
  );
}

/** What everybody must know before they believe what they see. */
function States() {
  const cycle = shown.value;
  return (
    <div class="states" role="status">
      {cycle?.simulated && (
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
        <Chip kind="plain" title={cycle.demotions.length ? "Stricter than the mode, because statements contradict each other." : "What may leave this server."}>
          {PRIVACY_CLASS[cycle.privacyClass]}
          {cycle.demotions.length > 0 && " (demoted)"}
        </Chip>
      )}
    </div>
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
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" />
        <path d={name === "light" ? "M10 6a4 4 0 1 0 0 8 4 4 0 0 0 0-8" : "M10 3a7 7 0 0 1 0 14z"} fill="currentColor" opacity={name === "dark" ? 1 : 0.75} />
        {name === "dark" && <path d="M10 3a7 7 0 0 0 0 14z" fill="currentColor" opacity="0.25" />}
      </svg>
    </button>
  );
}

/** Asked once when the server wants a token; kept for this browser session. */
function Token() {
  const field = useRef<HTMLInputElement>(null);
  if (connection.value !== "denied") return null;
  return (
    <form
      class="panel token"
      onSubmit={(e) => {
        e.preventDefault();
        const text = field.current?.value.trim();
        if (text) keepToken(text);
      }}
    >
      <h2>This server asks for a token</h2>
      <p>
        Make one on the server with <code>tapline token create</code>. It is kept until this browser tab is closed.
      </p>
      <label>
        Token <input ref={field} type="password" autocomplete="off" required />
      </label>
      <button>Continue</button>
    </form>
  );
}
