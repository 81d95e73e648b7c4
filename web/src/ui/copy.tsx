import { useState } from "preact/hooks";

/** Copies a text, and says so. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  // The clipboard is there on loopback and over TLS only.
  if (!navigator.clipboard) return null;
  return (
    <button
      class="quiet"
      onClick={() =>
        navigator.clipboard.writeText(text).then(() => {
          setDone(true);
          setTimeout(() => setDone(false), 2_000);
        })
      }
    >
      <span role="status">{done ? "Copied" : `Copy the ${what}`}</span>
    </button>
  );
}
