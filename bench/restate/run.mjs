// Towpath and Restate carry out the same durable steps; README.md says what is compared and what is not.

import { existsSync, mkdirSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as plain from './plain.mjs';
import { temporaryFolder } from './processes.mjs';
import { startRestate } from './restate.mjs';
import { startTowpath } from './towpath.mjs';

/** Every figure is the median of so many, each with a fresh server on an empty state. */
const ROUNDS = 3;
/** Steps of the two executions that are compared: what both pay once cancels out. */
const MANY_STEPS = 50;
const FEW_STEPS = 10;
const LOAD = { executions: 200, steps: 3, atOnce: 50 };
/** Executions of `MANY_STEPS` that come first and are not counted: caches fill, compilers get to work. */
const WARM_UPS = 3;
/** Pairs of executions, one of few and one of many steps, whose medians make one round's figures. */
const PAIRS = 5;
/** How long a server is left alone before its memory is read, ms. */
const REST_MS = 2000;

const { values: options } = parseArgs({ options: { towpath: { type: 'string' } } });
if (options.towpath === undefined || !existsSync(options.towpath)) {
  console.error('run.mjs: say where the `towpath` program is: node bench/restate/run.mjs --towpath PATH');
  process.exit(2);
}

const loadBefore = loadavg()[0];
const folder = temporaryFolder();
const contenders = {
  'plain shells': async () => plain.shells,
  'Node alone': async () => plain.node,
  Restate: startRestate,
  Towpath: (state) =>
    startTowpath(resolve(options.towpath), state, { sequential: [FEW_STEPS, MANY_STEPS], load: LOAD.steps }),
};

const results = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
for (let round = 1; round <= ROUNDS; round += 1) {
  for (const [name, start] of Object.entries(contenders)) {
    console.error(`round ${round} of ${ROUNDS}: ${name}`);
    const state = join(folder, `${round}-${name}`.replaceAll(' ', '-'));
    mkdirSync(state);
    results[name].push(await measure(await start(state)));
  }
}
print();

/** One round of one contender. */
async function measure(contender) {
  try {
    for (let number = 0; number < WARM_UPS; number += 1) await contender.sequentialMs(MANY_STEPS);
    const pairs = { few: [], many: [] };
    for (let number = 0; number < PAIRS; number += 1) {
      pairs.few.push(await contender.sequentialMs(FEW_STEPS));
      pairs.many.push(await contender.sequentialMs(MANY_STEPS));
    }
    const [few, many] = [median(pairs.few), median(pairs.many)];
    await contender.loadMs(LOAD);
    const load = await contender.loadMs(LOAD);
    if (contender.memory) await sleep(REST_MS);
    return {
      few,
      many,
      step: (many - few) / (MANY_STEPS - FEW_STEPS),
      rate: LOAD.executions / (load / 1000),
      ...contender.memory?.(),
    };
  } finally {
    await contender.stop?.();
  }
}

function print() {
  const columns = [
    ['', (name) => name],
    ['one step, ms', (name) => figure(name, 'step', 2)],
    [`${FEW_STEPS} steps, ms`, (name) => figure(name, 'few', 0)],
    [`${MANY_STEPS} steps, ms`, (name) => figure(name, 'many', 0)],
    [`executions of ${LOAD.steps} steps a second`, (name) => figure(name, 'rate', 0)],
    ['server resident, MiB', (name) => figure(name, 'server', 0)],
    ['service resident, MiB', (name) => figure(name, 'service', 0)],
  ];
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const busy = `load average ${loadBefore.toFixed(1)} before and ${loadavg()[0].toFixed(1)} after`;
  console.log(`Medians of ${ROUNDS}, lowest and highest in brackets. ${availableParallelism()} cores, ${busy}.\n`);
  console.log(row(columns.map(([title]) => title)));
  console.log(`|---|${'---:|'.repeat(columns.length - 1)}`);
  for (const name of Object.keys(contenders)) console.log(row(columns.map(([, cell]) => cell(name))));
}

/** Median, and the extremes beside it. */
function figure(name, key, digits) {
  const values = results[name].map((result) => result[key]);
  if (values[0] === undefined) return '–';
  const [middle, low, high] = [median(values), Math.min(...values), Math.max(...values)];
  return `${middle.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
}

/** The middle of an odd number of values. */
function median(values) {
  return values.toSorted((one, other) => one - other)[values.length >> 1];
}
