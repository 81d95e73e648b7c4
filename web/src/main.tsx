import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app";
import * as cycle from "./live/cycle";
import * as history from "./live/history";
import * as past from "./live/past";
import * as prefs from "./live/prefs";
import * as site from "./live/site";
import "./style/tokens.css";
import "./style/page.css";

prefs.start();
history.start();
past.start();
cycle.start();
site.start();

/** A server at hand answers sooner than this: then the page is laid out and painted once, not first without data, milliseconds. */
const AT_HAND_MS = 400;
let end = () => {};
const answered = new Promise<void>((done) => (end = effect(() => void (site.site.value && cycle.shown.value && done()))));
await Promise.race([answered, new Promise((done) => setTimeout(done, AT_HAND_MS))]);
end();
render(<App />, document.getElementById("app")!);
