// Builds `dist/`: everything a host needs, and nothing else.
//
//   dist/app/            the service, `release.json` next to it
//   dist/appspec.yml     where it goes and which scripts run
//   dist/scripts/        those scripts
//   dist/release.json    which release this is
//
// Uses CODEBUILD_RESOLVED_SOURCE_VERSION (the commit), and SOURCE_DATE_EPOCH (seconds) when a build must
// give the same bytes twice.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = path.join(root, 'dist');
const COPIED = [
  ['src', 'app'],
  ['appspec.yml', 'appspec.yml'],
  ['scripts', 'scripts'],
];

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
for (const [from, to] of COPIED) cpSync(path.join(root, from), path.join(dist, to), { recursive: true });

const { name, version, type, engines } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const commit = process.env.CODEBUILD_RESOLVED_SOURCE_VERSION || null;
const release = {
  version: `${version}+${commit ? commit.slice(0, 8) : 'local'}`,
  commit,
  builtAt: builtAt().toISOString(),
};
writeJson('app/package.json', { name, version, private: true, type, engines });
writeJson('app/release.json', release);
writeJson('release.json', release);
console.log(`Built ${name} ${release.version} in dist`);

function builtAt() {
  const epoch = process.env.SOURCE_DATE_EPOCH;
  return epoch ? new Date(Number(epoch) * 1000) : new Date();
}

function writeJson(file, value) {
  writeFileSync(path.join(dist, file), `${JSON.stringify(value, null, 2)}\n`);
}
