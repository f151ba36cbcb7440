import assert from 'node:assert/strict';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { Store } from '../../src/store.js';
import { temporaryFolder } from '../support/service.js';

const PRODUCTS = [{ sku: 'mug', priceCents: 895, stock: 2 }];

test('a new store holds the seed, and an opened one what was kept', async (t) => {
  const dir = await temporaryFolder(t);
  const store = await Store.open(dir, PRODUCTS);
  await store.transact((draft) => {
    draft.products.mug.stock = 1;
  });
  const again = await Store.open(dir, PRODUCTS);
  assert.equal(again.state.products.mug.stock, 1);
});

test('a change that throws leaves no trace in memory or on disk', async (t) => {
  const dir = await temporaryFolder(t);
  const store = await Store.open(dir, PRODUCTS);
  const before = await readFile(path.join(dir, 'shop.json'), 'utf8');
  const refused = store.transact((draft) => {
    draft.products.mug.stock = 0;
    throw new Error('no');
  });
  await assert.rejects(refused, /no/);
  assert.equal(store.state.products.mug.stock, 2);
  assert.equal(await readFile(path.join(dir, 'shop.json'), 'utf8'), before);
});

test('changes asked for at once run one after another', async (t) => {
  const store = await Store.open(await temporaryFolder(t), PRODUCTS);
  const seen = await Promise.all([1, 2, 3].map(() => store.transact((draft) => (draft.products.mug.stock += 10))));
  assert.deepEqual(seen, [12, 22, 32]);
});

test('a broken file is reported by name and never overwritten', async (t) => {
  const dir = await temporaryFolder(t);
  const file = path.join(dir, 'shop.json');
  await writeFile(file, '{"schema":');
  await assert.rejects(Store.open(dir, PRODUCTS), (error) => error.message.includes(file));
  assert.equal(await readFile(file, 'utf8'), '{"schema":');
});

test('a file of another schema is refused', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(path.join(dir, 'shop.json'), '{"schema": 99}');
  await assert.rejects(Store.open(dir, PRODUCTS), /schema 99, this release reads schema 1/);
});

test('the check passes on a good folder and leaves nothing behind', async (t) => {
  const dir = await temporaryFolder(t);
  const store = await Store.open(dir, PRODUCTS);
  await store.check();
  assert.deepEqual(await readdir(dir), ['shop.json']);
});

test('the check fails when the file or the folder is gone', async (t) => {
  const dir = await temporaryFolder(t);
  const store = await Store.open(dir, PRODUCTS);
  await rm(path.join(dir, 'shop.json'));
  await assert.rejects(store.check(), /is gone/);
  await rm(dir, { recursive: true });
  await assert.rejects(store.check(), /ENOENT/);
});
