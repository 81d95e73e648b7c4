/** What the reader chose: kept in this browser. */
import { effect, signal, type Signal } from "@preact/signals";

function kept<T>(key: string, initial: T): Signal<T> {
  let value = initial;
  try {
    const text = localStorage.getItem(`tapline-${key}`);
    if (text) value = { ...initial, ...JSON.parse(text) };
  } catch {
    // A damaged or forbidden store is as good as an empty one.
  }
  const it = signal(value);
  effect(() => {
    try {
      localStorage.setItem(`tapline-${key}`, JSON.stringify(it.value));
    } catch {
      // The choice then lasts as long as the page.
    }
  });
  return it;
}

/** What the floor plan shows. */
export const layers = kept("layers", {
  heat: true,
  links: true,
  trails: true,
  figures: true,
  truth: true,
});
export type Layer = keyof (typeof layers)["value"];

/** Light, dark, or what the system says. */
export const theme = kept("theme", { name: "system" as "system" | "light" | "dark" });

export function start(): void {
  effect(() => {
    const { name } = theme.value;
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  });
}
