import type { ComponentChildren } from "preact";

/** The top of a view: what it is, and in one line what it says. */
export function Head({ title, children, aside }: { title: string; children?: ComponentChildren; aside?: ComponentChildren }) {
  return (
    <div class="head">
      <div>
        <h1>{title}</h1>
        {children && <p>{children}</p>}
      </div>
      {aside}
    </div>
  );
}
