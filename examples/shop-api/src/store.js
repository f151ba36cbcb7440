// The data: one JSON file, replaced whole. A change is either on disk entirely or has not happened.
//
// One process owns the file. Changes run one at a time on a copy, so a change that throws leaves no trace;
// the copy becomes the state only after it is on disk. Copying everything per change is right for a shop of
// this size and wrong for a large one.

import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import path from 'node:path';

export const SCHEMA = 1;
const FILE = 'shop.json';

export class Store {
  #dir;
  #state;
  #last = Promise.resolve();

  constructor(dir, state) {
    this.#dir = dir;
    this.#state = state;
  }

  /** Opens the file in `dir`, or creates it with `products`. Never overwrites a file it cannot read. */
  static async open(dir, products) {
    await mkdir(dir, { recursive: true });
    const found = await load(path.join(dir, FILE));
    if (found) return new Store(dir, found);
    const fresh = { schema: SCHEMA, products: {}, carts: {}, orders: {}, replays: {} };
    for (const product of products) fresh.products[product.sku] = product;
    await replace(path.join(dir, FILE), fresh);
    return new Store(dir, fresh);
  }

  /** The current state, for reading only. */
  get state() {
    return this.#state;
  }

  /** Runs `change(draft)` alone; its result is returned after the draft is on disk. */
  transact(change) {
    const run = this.#last.then(async () => {
      const draft = structuredClone(this.#state);
      const result = change(draft);
      await replace(path.join(this.#dir, FILE), draft);
      this.#state = draft;
      return result;
    });
    this.#last = run.catch(() => {});
    return run;
  }

  /** Resolves when every change asked for so far has ended. */
  settled() {
    return this.#last;
  }

  /** Proves that the folder takes writes and that the file on disk is whole; throws what is wrong. */
  async check() {
    const probe = path.join(this.#dir, `.health-${randomUUID()}`);
    const token = randomUUID();
    try {
      await writeDurably(probe, token);
      if ((await readFile(probe, 'utf8')) !== token) throw new Error(`${probe} did not keep what was written`);
    } finally {
      await unlink(probe).catch(() => {});
    }
    if (!(await load(path.join(this.#dir, FILE)))) throw new Error(`${path.join(this.#dir, FILE)} is gone`);
  }
}

async function load(file) {
  let text;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
  let state;
  try {
    state = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON (${error.message}); restore it from a backup or move it away`);
  }
  if (state?.schema !== SCHEMA) {
    throw new Error(`${file} has schema ${state?.schema}, this release reads schema ${SCHEMA}`);
  }
  return state;
}

async function replace(file, state) {
  const draft = `${file}.${process.pid}.tmp`;
  await writeDurably(draft, `${JSON.stringify(state, null, 1)}\n`);
  await rename(draft, file);
  // The rename itself is only durable once the folder is.
  const folder = await open(path.dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeDurably(file, text) {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
