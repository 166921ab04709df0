// Makes `dist/bootstrap`: everything in one file, as it would be deployed.

import { chmod, writeFile } from 'node:fs/promises';

import { build } from 'esbuild';

await build({
  entryPoints: ['bootstrap'],
  outfile: 'dist/bootstrap',
  loader: { '': 'js' },
  bundle: true,
  minify: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // ES modules where a package has them: what is not imported is left out.
  mainFields: ['module', 'main'],
});
// This package's own type is `module`.
await writeFile('dist/package.json', '{"type":"commonjs"}\n');
await chmod('dist/bootstrap', 0o755);
