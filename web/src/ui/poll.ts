import { useEffect, useState } from "preact/hooks";
import { ask, connection } from "../api/client";
import type { TypedDocumentString } from "../generated/operations";

/** Asks again and again while the caller is on screen; keeps the last answer when one fails. */
export function usePoll<R, V>(document: TypedDocumentString<R, V>, everyMs: number, on = true): R | undefined {
  const [answer, setAnswer] = useState<R>();
  useEffect(() => {
    if (!on) return;
    let stopped = false;
    let timer = 0;
    const look = async () => {
      if (connection.peek() === "open" && !globalThis.document.hidden) {
        const found = await (ask as (d: TypedDocumentString<R, V>) => Promise<R>)(document).catch(() => undefined);
        if (found && !stopped) setAnswer(found);
      }
      if (!stopped) timer = window.setTimeout(look, everyMs);
    };
    void look();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [document, everyMs, on]);
  return answer;
}
