// Static checks that need nothing installed. Prints `path:line: what is wrong`, and ends with 1 if there is any.
//
//   node tools/lint.js            check
//   node tools/lint.js --count    print the number of files that would be checked

import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const LINE_CHARS_MAX = 130;
const SKIPPED = new Set(['.git', '.towpath', 'dist', 'reports', 'data', 'node_modules']);
const CHECKED = new Set(['.js', '.cjs', '.json', '.sh', '.yml']);

const files = filesBelow('.');
if (process.argv.includes('--count')) {
  console.log(files.length);
} else {
  const problems = files.flatMap(problemsOf);
  for (const problem of problems) console.error(problem);
  console.log(`${files.length} files checked, ${problems.length} problems`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

function problemsOf(file) {
  const text = readFileSync(file, 'utf8');
  const lines = text
    .split('\n')
    .flatMap((line, index) => lineProblems(file, line).map((what) => `${file}:${index + 1}: ${what}`));
  return [...lines, ...syntaxProblems(file, text).map((what) => `${file}: ${what}`)];
}

function lineProblems(file, line) {
  const problems = [];
  if (/\s$/.test(line)) problems.push('white space at the end of the line');
  if (line.includes('\t')) problems.push('a tab');
  if (line.length > LINE_CHARS_MAX && !file.endsWith('.json')) problems.push(`longer than ${LINE_CHARS_MAX} characters`);
  if (file.startsWith('src') && /\bconsole\./.test(line)) problems.push('`console` in the service; use the log it is given');
  if (/\.only\(/.test(line) && file.startsWith('test')) problems.push('`.only` would skip the other tests');
  return problems;
}

function syntaxProblems(file, text) {
  switch (path.extname(file)) {
    case '.json':
      return jsonProblems(text);
    case '.js':
    case '.cjs':
      return programProblems(process.execPath, ['--check', file]);
    case '.sh':
      return programProblems('sh', ['-n', file]);
    default:
      return [];
  }
}

function jsonProblems(text) {
  try {
    JSON.parse(text);
    return [];
  } catch (error) {
    return [error.message];
  }
}

function programProblems(program, args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? [] : [(error?.message ?? stderr).trim().split('\n').slice(0, 5).join(' | ')];
}

function filesBelow(folder) {
  return readdirSync(folder)
    .filter((name) => !SKIPPED.has(name))
    .sort()
    .map((name) => path.join(folder, name))
    .flatMap((entry) => (statSync(entry).isDirectory() ? filesBelow(entry) : CHECKED.has(path.extname(entry)) ? [entry] : []));
}
