'use strict';

/* Locks, sequence and event of a sync block from Node.js, among processes and within one thread. */
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { shmreg, startScript, collect, TIMEOUT } = require('./node.js');

const conn = shmreg.connect();
const other = shmreg.connect();
const region = conn.create('locks/region', 4096, { syncBlock: true });
const array = region.array({ dtype: 'int32' });
const reader = other.open('locks/region');

test('a lock of this thread', () => {
  const lock = region.lock();

  assert.deepEqual([lock.held, lock.ownerDied], [true, false]);
  assert.throws(() => region.lock(), { code: 'EDEADLK' });
  assert.throws(() => reader.lock(), { code: 'EACCES' });
  assert.throws(() => lock.recovered(), { code: 'EINVAL' });
  lock.unlock();
  lock.unlock();
  assert.throws(() => lock.writeBegin(), { code: 'EPERM' });
  region.lock({ timeout: 0 }).unlock();
});

test('locks that are awaited exclude each other, on one thread, too', async () => {
  let inside = 0;
  let most = 0;

  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const lock = await region.lockAsync({ timeout: TIMEOUT });
      const before = array[0];

      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      array[0] = before + 1;
      inside--;
      lock.unlock();
    }),
  );
  assert.deepEqual([most, array[0]], [1, 20]);
});

test('a lock that somebody else has', async () => {
  const lock = await region.lockAsync();

  assert.throws(() => region.lock(), { code: 'ETIMEDOUT' });
  await assert.rejects(region.lockAsync({ timeout: 1 }), { code: 'ETIMEDOUT', errno: -110 });
  await assert.rejects(reader.lockAsync(), { code: 'EACCES' });
  const next = region.lockAsync();

  lock.unlock();
  (await next).unlock();
});

test('a lock goes with its region, and with the garbage', async () => {
  const closing = other.open('locks/region', { write: true });
  const held = await closing.lockAsync();

  closing.close();
  assert.equal(held.held, false);
  const second = other.open('locks/region', { write: true });

  second.lock();
  second.close();
  await (async () => {
    await region.lockAsync();
  })();
  await collect();
  region.lock({ timeout: TIMEOUT }).unlock();
});

test('the owner of a lock is killed: the next one is told, and makes the data whole', async () => {
  for (const how of ['lock()', 'lockAsync()']) {
    const child = startScript(`
      const region = shmreg.connect().open('locks/region', { write: true });
      globalThis.lock = await region.${how};
      lock.writeBegin();
      region.array({ dtype: 'int32' })[0] = -1;
      say('half');
      forever();
    `);

    assert.equal(await child.line(), 'half');
    assert.throws(() => reader.read(() => assert.fail(), { timeout: 1 }), { code: 'ETIMEDOUT' });
    const waiting = region.lockAsync({ timeout: TIMEOUT });

    await child.kill();
    const lock = await waiting;

    assert.equal(lock.ownerDied, true);
    array[0] = 0;
    lock.recovered();
    lock.unlock();
    assert.equal(
      reader.read((seen) => seen.array({ dtype: 'int32' })[0]),
      0,
    );
  }
});

test('readers without a lock see what is whole', async () => {
  const child = startScript(`
    const region = shmreg.connect().open('locks/region', { write: true });
    const array = region.array({ dtype: 'int32' });
    say('writes');
    for (let i = 1; i <= 20000; i++) {
      const lock = region.lock({ timeout: ${TIMEOUT} });
      lock.writeBegin();
      array.fill(i);
      lock.writeEnd();
      lock.unlock();
    }
  `);

  assert.equal(await child.line(), 'writes');
  for (let last = 0, reads = 0; last < 20000; reads++) {
    const copy = reader.read((seen) => seen.array({ dtype: 'int32' }).slice());

    assert.ok(copy[0] >= last && copy.every((value) => value === copy[0]), `read ${reads}`);
    last = copy[0];
  }
  assert.equal(await child.ended(), 0);
});

test('the event', async () => {
  const first = await region.waitEvent(1);

  assert.equal(first, 0);
  await assert.rejects(reader.waitEvent(0, { timeout: 1 }), { code: 'ETIMEDOUT' });
  const waits = [reader.waitEvent(0), region.waitEvent(0)];

  region.notify();
  assert.deepEqual(await Promise.all(waits), [1, 1]);
  assert.throws(() => reader.notify(), { code: 'EACCES' });
  const closing = other.open('locks/region');
  const waiting = closing.waitEvent(1);

  closing.close();
  await assert.rejects(waiting, { code: 'ECANCELED' });
});

test('ranges of bytes', () => {
  const writer = other.open('locks/region', { write: true });

  region.lockRange(0, 100);
  assert.throws(() => writer.lockRange(50, 100), { code: 'EAGAIN' });
  writer.lockRange(100, 100);
  assert.throws(() => reader.lockRange(0, 1), { code: 'EAGAIN' });
  region.unlockRange(0, 100);
  reader.lockRange(0, 50);
  region.lockRange(0, 50, { exclusive: false });
  assert.throws(() => reader.lockRange(0, 1, { exclusive: true }), { code: 'EACCES' });
  writer.close();
});

test('a region without a sync block has none of it', async () => {
  const plain = conn.create('locks/plain', 1);

  assert.throws(() => plain.lock(), { code: 'EOPNOTSUPP' });
  assert.throws(() => plain.notify(), { code: 'EOPNOTSUPP' });
  await assert.rejects(plain.lockAsync(), { code: 'EOPNOTSUPP' });
  await assert.rejects(plain.waitEvent(), { code: 'EOPNOTSUPP' });
});
