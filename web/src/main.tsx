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
render(<App />, document.getElementById("app")!);
