// Asks `/health` until the answer is good or the time is up. Hosts need Node anyway, so no `curl`.
//
//   --port <n>            on 127.0.0.1
//   --within <seconds>    then exit code 1, with the last reason on stderr
//   --pid-file <file>     the answer must come from this process, not from another that has the port
//   --release <file>      the answer must be healthy, and of the release in this file
//   --any-answer          instead of --release: any health report will do

const { readFileSync } = require('node:fs');
const http = require('node:http');
const { parseArgs } = require('node:util');

const PAUSE_MS = 200;
const ANSWER_MS_MAX = 3000;
const ANSWER_BYTES_MAX = 64 * 1024;

const { values: wanted } = parseArgs({
  options: {
    port: { type: 'string' },
    within: { type: 'string' },
    'pid-file': { type: 'string' },
    release: { type: 'string' },
    'any-answer': { type: 'boolean' },
  },
});
const release = wanted.release && JSON.parse(readFileSync(wanted.release, 'utf8'));
const host = process.env.TOWPATH_HOST ?? 'this host';
const deadline = Date.now() + Number(wanted.within) * 1000;
attempt();

async function attempt() {
  const { problem, final, report } = await ask()
    .then(judge)
    .catch((error) => (isGone() ? { problem: 'the process has ended', final: true } : { problem: error.message }));
  if (!problem) {
    if (!wanted['any-answer']) console.log(`${host}: healthy, release ${report.version}, process ${report.pid}`);
    return;
  }
  if (!final && Date.now() + PAUSE_MS < deadline) {
    setTimeout(attempt, PAUSE_MS);
    return;
  }
  const patience = final ? '' : ` within ${wanted.within} s`;
  console.error(`${host}: no good answer on port ${wanted.port}${patience}: ${problem}`);
  process.exitCode = 1;
}

/** What is wrong with a report, if anything; `final` if waiting cannot mend it. */
function judge(report) {
  const pid = pidWanted();
  if (report?.service !== 'shop-api') return { problem: 'another program answers on this port', final: true };
  if (pid && report.pid !== pid) {
    return { problem: `process ${report.pid} answers on this port, not ${pid}`, final: true };
  }
  if (wanted['any-answer']) return { report };
  if (report.version !== release.version || report.commit !== release.commit) {
    return { problem: `release ${report.version} answers, not ${release.version}`, final: true };
  }
  return report.status === 'ok' ? { report } : { problem: `release ${report.version} is ${report.status}: ${reasons(report)}` };
}

function reasons({ checks = {} }) {
  const bad = Object.entries(checks).filter(([, { ok }]) => !ok);
  return bad.map(([name, { message }]) => `${name}: ${message}`).join('; ') || 'no reason given';
}

// Null if none is wanted, or while the file is not written yet.
function pidWanted() {
  try {
    return Number(readFileSync(wanted['pid-file'], 'utf8')) || null;
  } catch {
    return null;
  }
}

function isGone() {
  const pid = pidWanted();
  try {
    if (pid) process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

function ask() {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: Number(wanted.port), path: '/health', agent: false, timeout: ANSWER_MS_MAX };
    const request = http.get(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) request.destroy(new Error('the answer is too long'));
      });
      response.on('error', reject);
      response.on('end', () => {
        try {
          resolve(JSON.parse(text));
        } catch {
          resolve(null);
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)));
    request.on('error', (error) => reject(error.code === 'ECONNREFUSED' ? new Error('nothing listens') : error));
  });
}
