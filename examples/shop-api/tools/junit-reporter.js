// Turns the events of `node --test` into a JUnit report. Node 18 has no such reporter of its own.

/** @param {AsyncIterable<{type: string, data: object}>} source */
export default async function* junit(source) {
  const suites = new Map();
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // A file is reported as a test of its own around the real ones; so is a suite.
    if (data.details?.type === 'suite' || isFile(data)) continue;
    const file = data.file ? relative(data.file) : 'tests';
    if (!suites.has(file)) suites.set(file, []);
    suites.get(file).push(caseOf(type, data, file));
  }
  const all = [...suites.values()].flat();
  yield '<?xml version="1.0" encoding="UTF-8"?>\n';
  yield `<testsuites ${counts(all)}>\n`;
  for (const [name, cases] of suites) {
    yield `  <testsuite name="${escape(name)}" ${counts(cases)}>\n`;
    for (const one of cases) yield one.xml;
    yield '  </testsuite>\n';
  }
  yield '</testsuites>\n';
}

function caseOf(type, data, file) {
  const seconds = (data.details?.duration_ms ?? 0) / 1000;
  const skipped = data.skip !== undefined || data.todo !== undefined;
  const failed = type === 'test:fail' && !skipped;
  const inner = skipped ? '<skipped/>' : failed ? failureOf(data.details?.error) : '';
  const head = `    <testcase classname="${escape(file)}" name="${escape(data.name)}" time="${seconds.toFixed(3)}"`;
  return { seconds, failed, skipped, xml: inner ? `${head}>${inner}</testcase>\n` : `${head}/>\n` };
}

function failureOf(error) {
  const cause = error?.cause ?? error;
  const message = String(cause?.message ?? cause ?? 'failed');
  return `<failure message="${escape(message)}">${escape(String(cause?.stack ?? message))}</failure>`;
}

function counts(cases) {
  const seconds = cases.reduce((sum, one) => sum + one.seconds, 0);
  const failures = cases.filter(({ failed }) => failed).length;
  const skipped = cases.filter((one) => one.skipped).length;
  return `tests="${cases.length}" failures="${failures}" errors="0" skipped="${skipped}" time="${seconds.toFixed(3)}"`;
}

const isFile = ({ name, nesting, file }) => nesting === 0 && (name === file || /\.test\.js$/.test(name));

const relative = (file) => file.replace(/^file:\/\//, '').replace(`${process.cwd()}/`, '');

function escape(text) {
  return text
    // XML has no way to write most control characters, and terminals put colours into messages.
    .replace(/\u001b\[[0-9;]*m/g, '')
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '?')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}
