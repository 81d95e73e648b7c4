// node dist/examples/watch.js [URL] [COUNT]: prints who is where, COUNT times. The token comes from TAPLINE_TOKEN.
import WebSocket from "ws";
import { Tapline } from "../src/index.js";

const url = process.argv[2] ?? "http://127.0.0.1:8080";
const count = Number(process.argv[3] ?? 20);
const token = process.env.TAPLINE_TOKEN;
const tapline = new Tapline({ url, ...(token ? { token } : {}), webSocketImpl: WebSocket });
const { server } = await tapline.status();
console.log(`tapline ${server.version}, ${server.mode ?? "no cycle yet"}`);
let seen = 0;
for await (const frame of tapline.poses()) {
  const where = frame.tracks.map((t) => `(${t.x?.toFixed(2)}, ${t.y?.toFixed(2)}) ± ${t.sigmaM.toFixed(2)} m`);
  console.log(`cycle ${frame.cycle}  ${frame.presence.state}  ${where.join("  ")}`);
  if (++seen >= count) break;
}
await tapline.close();
