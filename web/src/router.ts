/** Views by the address's fragment: links work, the back button works, the server knows one page only. */
import { computed, signal } from "@preact/signals";
import type { ComponentType } from "preact";
import type { Site } from "./live/site";
import { Channel } from "./views/channel";
import { Cycle } from "./views/cycle";
import { Nodes } from "./views/nodes";
import { Plugins } from "./views/plugins";
import { Privacy } from "./views/privacy";
import { Room } from "./views/room";
import { Timeline } from "./views/timeline";
import { Witness } from "./views/witness";

export interface View {
  path: string;
  name: string;
  view: ComponentType<{ site: Site }>;
}

export const VIEWS: readonly [View, ...View[]] = [
  { path: "", name: "Room", view: Room },
  { path: "timeline", name: "Timeline", view: Timeline },
  { path: "channel", name: "Channel", view: Channel },
  { path: "cycle", name: "Cycle", view: Cycle },
  { path: "nodes", name: "Nodes", view: Nodes },
  { path: "plugins", name: "Plugins", view: Plugins },
  { path: "privacy", name: "Privacy", view: Privacy },
  { path: "witness", name: "Witness", view: Witness },
];

const fragment = signal(location.hash);
addEventListener("hashchange", () => (fragment.value = location.hash));

export const current = computed(() => VIEWS.find((v) => `#/${v.path}` === fragment.value) ?? VIEWS[0]);
