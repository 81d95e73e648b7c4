/** The marks of a time axis: as many as their labels leave room for. */
import type { Stretch } from "../live/spans";

export interface Mark {
  /** Unix milliseconds. */
  time: number;
  text: string;
}

interface Step {
  /** Milliseconds; of a month about. */
  ms: number;
  format: Intl.DateTimeFormatOptions;
  /** The marks of a window, ascending. */
  times: (window: Stretch) => number[];
}

const [DAY, MONTH] = [86_400_000, 30 * 86_400_000];
/** Between two labels, pixels. */
const GAP = 18;

const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

const STEPS: readonly Step[] = [
  ...[1, 2, 5, 10, 30].map((s) => clock(s * 1_000, { ...CLOCK, second: "2-digit" })),
  ...[60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200].map((s) => clock(s * 1_000, CLOCK)),
  ...[1, 7, 14].map(days),
  ...[1, 3, 12].map(months),
];

export function marks(window: Stretch, width: number, wide: (text: string) => number): Mark[] {
  const perMs = width / (window.to - window.from);
  const fits = ({ ms, format }: Step) => {
    const labels = [window.from, window.to].map((t) => wide(label(t, format)));
    return ms * perMs >= Math.max(...labels) + GAP;
  };
  const step = STEPS.find(fits) ?? STEPS.at(-1)!;
  return step.times(window).map((time) => ({ time, text: label(time, step.format) }));
}

const formats = new Map<Intl.DateTimeFormatOptions, Intl.DateTimeFormat>();

/** Formats are made once: to make one costs as much as to draw the whole axis. */
function label(time: number, options: Intl.DateTimeFormatOptions): string {
  let format = formats.get(options);
  if (!format) formats.set(options, (format = new Intl.DateTimeFormat(undefined, options)));
  return format.format(time);
}

/** At full steps of the local clock. */
function clock(ms: number, format: Intl.DateTimeFormatOptions): Step {
  const times = ({ from, to }: Stretch) => {
    const zone = new Date(to).getTimezoneOffset() * 60_000;
    const found = [];
    for (let t = Math.ceil((from - zone) / ms) * ms + zone; t < to; t += ms) found.push(t);
    return found;
  };
  return { ms, format, times };
}

/** At midnight, each day or every so many; weeks begin on Monday. Days of the calendar, of which two a year have not 24 hours. */
function days(count: number): Step {
  const times = ({ from, to }: Stretch) => {
    const found = [];
    const first = new Date(from);
    const day = new Date(first.getFullYear(), first.getMonth(), first.getDate());
    // Day 4 of the epoch was a Monday.
    const number = () => Math.round((day.getTime() - day.getTimezoneOffset() * 60_000) / DAY) - 4;
    while (number() % count !== 0 || day.getTime() < from) day.setDate(day.getDate() + 1);
    for (; day.getTime() < to; day.setDate(day.getDate() + count)) found.push(day.getTime());
    return found;
  };
  return { ms: count * DAY, format: { month: "short", day: "numeric" }, times };
}

/** On the first of a month. */
function months(count: number): Step {
  const times = ({ from, to }: Stretch) => {
    const found = [];
    const first = new Date(from);
    const month = new Date(first.getFullYear(), 0, 1);
    for (; month.getTime() < to; month.setMonth(month.getMonth() + count)) if (month.getTime() >= from) found.push(month.getTime());
    return found;
  };
  return { ms: count * MONTH, format: { month: "short", year: "numeric" }, times };
}
