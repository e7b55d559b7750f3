// Computes batches of expressions: one JSON line in, one JSON line out.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { compile } = await import(pathToFileURL(process.argv[2]).href);

for await (const line of createInterface({ input: process.stdin })) {
  const { trees, rows, env, records, backlinks } = JSON.parse(line);
  const world = {
    ...env,
    follow: (type, id) => records[type]?.[id],
    rows: (type, row, field) => backlinks[type]?.[field]?.[row.id] ?? [],
  };
  const answers = trees.map((tree) => {
    const run = compile(tree);
    return rows.map((row) => run(row, world));
  });
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
