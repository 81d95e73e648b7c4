/** Colours of the canvas, read from the style sheet so that both follow the theme. */

const NAMES = {
  paper: "surface",
  sunken: "sunken",
  ink: "ink",
  quiet: "ink-quiet",
  line: "line",
  edge: "edge",
  accent: "accent",
  warn: "warn",
  bad: "bad",
  wall: "wall",
  zone: "zone",
  occupied: "occupied",
  calm: "link-calm",
  upset: "link-upset",
  truth: "truth",
  moving: "moving",
  still: "still",
  empty: "empty",
} as const;

export interface Palette extends Record<keyof typeof NAMES, string> {
  /** Red, green, blue. */
  heat: [number, number, number];
  people: string[];
  font: string;
}

/** The colours in force. A custom property gives `light-dark(…)` as it is written; a property of type colour
 *  resolves it. */
export function palette(): Palette {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const read = (name: string) => {
    probe.style.color = `var(--${name})`;
    return style.color;
  };
  const colours = Object.fromEntries(Object.entries(NAMES).map(([key, name]) => [key, read(name)])) as Record<
    keyof typeof NAMES,
    string
  >;
  const heat = rgb(read("heat"));
  const people = [0, 1, 2, 3, 4, 5].map((i) => read(`person-${i}`));
  const font = style.getPropertyValue("--font").trim();
  probe.remove();
  return { ...colours, heat, people, font };
}

/** Red, green and blue of a computed colour. */
export function rgb(colour: string): [number, number, number] {
  return colour.match(/\d+/g)!.slice(0, 3).map(Number) as [number, number, number];
}

/** The colour of a person: by identity, so that it stays while the identity does. */
export function colour(of: Palette, id: string): string {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const n = Number(id);
  return of.people[(Number.isSafeInteger(n) ? n : hash) % of.people.length]!;
}
