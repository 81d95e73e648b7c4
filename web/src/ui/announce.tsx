/** Says something to a reader who does not see the page: when it changes, and has stood for a moment. What counts up every
 *  second does not belong here. */
import { useEffect, useState } from "preact/hooks";

export function Announce({ text, afterMs = 0 }: { text: string; afterMs?: number }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSaid(text), afterMs);
    return () => clearTimeout(timer);
  }, [text, afterMs]);
  return (
    <p class="unseen" role="status">
      {said}
    </p>
  );
}
