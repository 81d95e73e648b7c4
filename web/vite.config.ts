import { gzipSync } from "node:zlib";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import preact from "@preact/preset-vite";
import { defineConfig, type Plugin } from "vite";

/** Lays a compressed copy beside each text file: the server sends it as it is. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    writeBundle({ dir }) {
      for (const name of readdirSync(dir!, { recursive: true, encoding: "utf8" })) {
        if (!/\.(js|css|html|svg)$/.test(name)) continue;
        const path = join(dir!, name);
        // Level 9 and no time stamp: the same sources give the same bytes.
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

/** Asks for the font of the text beside the scripts, not after the first layout: the text is laid out and painted once. */
function fontBeside(): Plugin {
  return {
    name: "font-beside",
    transformIndexHtml: {
      order: "post",
      handler: (_, { bundle }) =>
        Object.keys(bundle ?? {})
          .filter((name) => /\/inter-.*\.woff2$/.test(name))
          .map((name) => ({
            tag: "link",
            attrs: { rel: "preload", as: "font", type: "font/woff2", href: `/${name}`, crossorigin: true },
            injectTo: "head",
          })),
    },
  };
}

/** The server that `npm run dev` shows. */
const server = process.env.TAPLINE_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [preact({ devToolsEnabled: false }), fontBeside(), compressed()],
  build: {
    outDir: "page/dist",
    emptyOutDir: true,
    // A data: address would need a hole in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    // The first that know `light-dark()`: 2024.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
  },
  server: {
    proxy: {
      "/graphql": { target: server, ws: true },
      "/v1": { target: server },
    },
  },
});
