// Types of the operations in src/*.graphql, from the committed schema: a question the server would not understand does
// not compile.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as documentNode from "@graphql-codegen/typed-document-node";
import * as operations from "@graphql-codegen/typescript-operations";
import { buildSchema, parse } from "graphql";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const schema = buildSchema(read("../../schema.graphql"));
const documents = readdirSync(new URL("src/", import.meta.url))
  .filter((name) => name.endsWith(".graphql"))
  .map((name) => ({ location: name, document: parse(read(`src/${name}`)) }));
const config = {
  documentMode: "string",
  useTypeImports: true,
  enumsAsTypes: true,
  enumType: "string-literal",
  strictScalars: true,
  skipTypename: true,
  scalars: { Long: "number", Timestamp: "string", JSON: "unknown" },
};
const text = await codegen({
  filename: "src/generated/operations.ts",
  schema: parse(read("../../schema.graphql")),
  schemaAst: schema,
  documents,
  config,
  plugins: [{ operations: {} }, { documentNode: {} }],
  pluginMap: { operations, documentNode },
});
mkdirSync(new URL("src/generated/", import.meta.url), { recursive: true });
writeFileSync(new URL("src/generated/operations.ts", import.meta.url), text);
