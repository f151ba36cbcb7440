// What the steps cost with nothing around them: nothing is remembered, nothing survives a crash.

import { spawnSync } from 'node:child_process';
import { elapsedMs, inParallel } from './processes.mjs';
import { COMMAND, step } from './step.mjs';

/** A shell that starts the same shells. */
export const shells = {
  sequentialMs: (steps) => elapsedMs(() => sh(`i=0; while [ $i -lt ${steps} ]; do /bin/sh -c ${COMMAND}; i=$((i+1)); done`)),
  loadMs: ({ executions, steps, atOnce }) => {
    const each = Array.from({ length: steps }, () => `/bin/sh -c ${COMMAND}`).join('; ');
    // `:` keeps the outer shell from becoming the last of the inner ones.
    return elapsedMs(() => sh(`seq ${executions} | xargs -P ${atOnce} -n 1 /bin/sh -c '${each}; :'`));
  },
};

/** Node starting the same shells, as the Restate service does. */
export const node = {
  sequentialMs: (steps) => elapsedMs(() => inParallel(steps, 1, step)),
  loadMs: ({ executions, steps, atOnce }) =>
    elapsedMs(() => inParallel(executions, atOnce, () => inParallel(steps, 1, step))),
};

function sh(script) {
  const { status, error } = spawnSync('/bin/sh', ['-c', script], { stdio: 'ignore' });
  if (error) throw error;
  if (status !== 0) throw new Error(`the plain shells ended with exit status ${status}`);
}
