/** Colours of the canvas, read from the style sheet so that both follow the theme. */

export interface Palette {
  paper: string;
  ink: string;
  quiet: string;
  line: string;
  wall: string;
  zone: string;
  occupied: string;
  heat: [number, number, number];
  calm: string;
  upset: string;
  truth: string;
  people: string[];
  font: string;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    paper: read("--surface"),
    ink: read("--ink"),
    quiet: read("--ink-quiet"),
    line: read("--line"),
    wall: read("--wall"),
    zone: read("--zone"),
    occupied: read("--occupied"),
    heat: read("--heat-rgb").split(" ").map(Number) as [number, number, number],
    calm: read("--link-calm"),
    upset: read("--link-upset"),
    truth: read("--truth"),
    people: [0, 1, 2, 3, 4, 5].map((i) => read(`--person-${i}`)),
    font: read("--font"),
  };
}

/** The colour of a person: by identity, so that it stays while the identity does. */
export function colour(of: Palette, id: string): string {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const n = Number(id);
  return of.people[(Number.isSafeInteger(n) ? n : hash) % of.people.length]!;
}
