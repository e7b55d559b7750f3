// Computes batches of expressions: one JSON line in, one JSON line out.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { compile } = await import(pathToFileURL(process.argv[2]).href);

for await (const line of createInterface({ input: process.stdin })) {
  const { trees, rows, pairs, env, records, backlinks } = JSON.parse(line);
  const world = {
    ...env,
    follow: (type, id) => records[type]?.[id],
    rows: (type, row, field) => backlinks[type]?.[field]?.[row.id] ?? [],
  };
  const answers = trees.map((tree) => {
    const run = compile(tree, pairs ? 1 : 0);
    return pairs ? pairs.map(([row, outer]) => run(row, world, outer)) : rows.map((row) => run(row, world));
  });
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
