// Runs the tests below the given folders: `node tools/test.js test/unit --junit reports/unit.xml`.
//
// It names every file, because `node --test <folder>` means different things in Node 18, 20 and 22.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    junit: { type: 'string' },
    // The built bundle, for the smoke test.
    bundle: { type: 'string' },
  },
});
const files = positionals.flatMap(testsBelow).filter((file) => values.bundle || !file.includes('smoke'));
if (files.length === 0) {
  console.error(`No test (\`*.test.js\`) below: ${positionals.join(' ') || '(no folder given)'}`);
  process.exit(1);
}

const reporters = ['--test-reporter=spec', '--test-reporter-destination=stdout'];
if (values.junit) {
  mkdirSync(path.dirname(values.junit), { recursive: true });
  const junit = fileURLToPath(new URL('./junit-reporter.js', import.meta.url));
  reporters.push(`--test-reporter=${junit}`, `--test-reporter-destination=${values.junit}`);
}
const env = { ...process.env };
// Set when this runs inside another `node --test`, and would turn the inner run's report off.
delete env.NODE_TEST_CONTEXT;
if (values.bundle) env.BUNDLE_DIR = path.resolve(values.bundle);
const { status } = spawnSync(process.execPath, ['--test', ...reporters, ...files], { stdio: 'inherit', env });
process.exit(status ?? 1);

function testsBelow(folder) {
  return readdirSync(folder)
    .sort()
    .map((name) => path.join(folder, name))
    .flatMap((entry) => (statSync(entry).isDirectory() ? testsBelow(entry) : entry.endsWith('.test.js') ? [entry] : []));
}
