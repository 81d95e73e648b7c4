import type { ComponentChildren } from "preact";

export type Kind = "good" | "warn" | "bad" | "plain";

export function Chip({ kind, title, children }: { kind: Kind; title?: string; children: ComponentChildren }) {
  return (
    <span class={`chip ${kind}`} title={title}>
      {children}
    </span>
  );
}
