// The step that Restate and Node alone carry out: one shell that becomes `/bin/true`.

import { spawn } from 'node:child_process';

/** What every contender's shell is told to do. */
export const COMMAND = '/bin/true';

/** Runs the step once; resolves to its exit status. */
export function step() {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', COMMAND], { stdio: 'ignore' });
    child.once('error', reject);
    child.once('close', (status) => (status === 0 ? resolve(status) : reject(new Error(`exit status ${status}`))));
  });
}
