'use strict';

/* No copy, no leak, and no way to crash by closing and collecting in whatever order. */
const assert = require('node:assert/strict');
const { webcrypto } = require('node:crypto');
const { readFileSync, readdirSync } = require('node:fs');
const { test } = require('node:test');
const { shmreg, startScript, collect } = require('./node.js');

const MIB = 1 << 20;
const GIB = 1 << 30;
const conn = shmreg.connect();

function mappings() {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('/dev/shm/shmreg.'));
}

function descriptors() {
  return readdirSync('/proc/self/fd').length;
}

function resident() {
  return /^VmRSS:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1] * 1024;
}

test('a gigabyte opens as an array without a copy', async () => {
  conn.create('memory/large', GIB, { attributes: { dtype: 'float64' } }).close();
  await collect();
  const before = resident();
  const start = process.hrtime.bigint();
  const region = conn.open('memory/large');
  const array = region.array();
  const microseconds = Number((process.hrtime.bigint() - start) / 1000n);

  assert.equal(array.length, GIB / 8);
  assert.equal(array[array.length - 1], 0);
  assert.ok(resident() - before < 16 * MIB, `${resident() - before} bytes more`);
  console.log(`# opened in ${microseconds} us`);
  region.close();
});

test('a thousand cycles leave no mapping and no descriptor', async () => {
  conn.create('memory/cycle', 64 * 1024).close();
  conn.open('memory/cycle').close();
  await collect();
  const before = { mappings: mappings(), descriptors: descriptors() };

  for (let i = 0; i < 1000; i++) {
    const region = conn.open('memory/cycle', { write: i % 2 === 0 });

    region.array()[0] = 1;
    region.close();
    if (i % 50 === 0) await new Promise(setImmediate);
  }
  for (let i = 0; i < 100; i++) {
    const own = shmreg.connect();

    own.open('memory/cycle').array();
    own
      .open('memory/cycle', { write: true })
      .wait()
      .catch(() => {});
    own.close();
  }
  await collect();
  assert.deepEqual({ mappings: mappings(), descriptors: descriptors() }, before);
});

test('a thousand regions that are never closed go with the garbage', async () => {
  await collect();
  const before = { mappings: mappings(), descriptors: descriptors() };

  const lose = (i) => {
    const region = (i % 10 === 0 ? shmreg.connect() : conn).open('memory/cycle');

    if (i % 2 === 0) region.array();
  };

  for (let i = 0; i < 1000; i++) {
    lose(i);
    if (i % 250 === 0) await collect();
  }
  await collect();
  assert.deepEqual({ mappings: mappings(), descriptors: descriptors() }, before);
  const { readers, writers } = conn.describe('memory/cycle');
  assert.deepEqual([readers, writers], [0, 0]);
});

test('an array keeps its memory when region and connection are collected', async () => {
  const array = (() => {
    const own = shmreg.connect();

    own.put('memory/kept', 'kept');
    return own.open('memory/kept').bytes;
  })();

  await collect();
  conn.destroy('memory/kept');
  assert.equal(array.toString(), 'kept');
  assert.equal(mappings().length, 1);
});

test('old versions go with their arrays', async () => {
  const region = conn.create('memory/versions', 4096);
  const kept = region.array();

  for (let i = 0; i < 100; i++) {
    conn.putArray('memory/versions', Uint8Array.of(i));
    region.refresh();
    assert.equal(region.array()[0], i);
    if (i % 50 === 0) await collect();
  }
  await collect();
  const held = mappings().length;

  assert.equal(kept.length, 4096);
  region.dropOld();
  await collect();
  assert.equal(kept.length, 0);
  assert.equal(region.array()[0], 99);
  assert.ok(mappings().length < held && mappings().length <= 2, mappings().join('\n'));
  region.close();
});

test('what is in flight survives a close, and is not handed to another thread', async () => {
  const region = conn.create('memory/flight', 16 * MIB);
  const { buffer } = region;
  const zipped = require('node:util').promisify(require('node:zlib').gzip)(region.bytes);
  const digest = webcrypto.subtle.digest('SHA-256', region.bytes);

  /* Some versions of Node.js refuse to, others copy. */
  try {
    assert.notEqual(structuredClone(buffer, { transfer: [buffer] }), buffer);
  } catch (error) {
    assert.equal(error.name, 'DataCloneError');
  }
  assert.equal(buffer.byteLength, 16 * MIB);
  await Promise.all([zipped, digest]);
  const second = webcrypto.subtle.digest('SHA-256', region.bytes);

  region.close();
  await second;
});

test('a child that does everything in the wrong order ends well', async () => {
  const child = startScript(`
    for (let i = 0; i < 20; i++) {
      const conn = shmreg.connect();
      const region = conn.create('memory/wrong', 4096, { existingOk: true, syncBlock: true });
      const array = region.array(), part = region.window(1, 2);
      const lock = await region.lockAsync();
      const waits = [region.wait(), region.waitEvent(), region.lockAsync()];
      const settled = waits.map((wait) => wait.catch(() => {}));
      conn.close();
      array[0] = 1;
      region.close();
      lock.unlock();
      conn.close();
      await Promise.all(settled.slice(0, i % 4));
    }
    say('well');
  `);

  assert.equal(await child.line(), 'well');
  assert.equal(await child.ended(), 0);
});
