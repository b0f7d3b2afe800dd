'use strict';

/* Waiting and listening from Node.js: nothing is lost, nothing is blocked, and a process may end. */
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test, afterEach } = require('node:test');
const { shmreg, startScript, startWorker, collect, TIMEOUT } = require('./node.js');

const conn = shmreg.connect();
const other = shmreg.connect();
const name = 'news/region';

afterEach(() => {
  conn.removeAllListeners('news');
  try {
    conn.destroy(name);
  } catch (error) {
    assert.equal(error.code, 'ENOENT');
  }
});

test('a wait ends with the next version, and the event loop runs meanwhile', async () => {
  conn.put(name, 'one');
  const region = conn.open(name);
  const waiting = region.wait({ timeout: TIMEOUT });
  let turns = 0;

  for (; turns < 5; turns++) await new Promise(setImmediate);
  assert.equal(region.isCurrent, true);
  other.put(name, 'two');
  await waiting;
  assert.equal(region.isCurrent, false);
  await region.wait(); /* at once: it is not current yet */
  region.refresh();
  assert.equal(region.bytes.toString(), 'two');
  region.close();
});

test('many wait for many regions, and each has its own news', async () => {
  const names = Array.from({ length: 200 }, (_, i) => `news/many/${i}`);

  for (const each of names) conn.put(each, '-');
  const regions = names.map((each) => conn.open(each));
  const done = new Set();
  const waits = regions.map((region) =>
    region.wait({ timeout: TIMEOUT }).then(() => done.add(region.name)),
  );

  for (const i of [7, 70, 170]) other.put(names[i], '+');
  await Promise.all([7, 70, 170].map((i) => waits[i]));
  assert.deepEqual(done, new Set([7, 70, 170].map((i) => names[i])));
  for (const each of names) other.destroy(each);
  await Promise.all(waits);
  for (const region of regions) region.close();
});

test('a wait that takes too long, and one whose region is closed', async () => {
  conn.put(name, 'one');
  const region = conn.open(name);

  await assert.rejects(region.wait({ timeout: 1 }), { code: 'ETIMEDOUT', errno: -110 });
  await assert.rejects(region.wait({ timeout: 0 }), { code: 'ETIMEDOUT' });
  assert.throws(() => region.wait({ timeout: -1 }), RangeError);
  const waiting = region.wait();

  region.close();
  await assert.rejects(waiting, { code: 'ECANCELED' });
});

test('a listener hears what has happened to which region', async () => {
  const region = conn.create(name, 1, { maxSize: 100 });
  const next = async (act) => {
    const heard = once(conn, 'news');

    act();
    return heard;
  };

  assert.deepEqual(await next(() => other.resize(name, 50)), [region, ['resized']]);
  region.refresh();
  assert.deepEqual(await next(() => other.put(name, 'x')), [region, ['published']]);
  region.refresh();
  region.close();
  const reader = conn.open(name);

  await collect();
  assert.deepEqual(await next(() => other.seal(name)), [reader, ['sealed']]);
  assert.deepEqual(await next(() => other.destroy(name)), [reader, ['destroyed']]);
  reader.close();
});

test('whoever listens keeps what is listened to', async () => {
  conn.put(name, 'one');
  const heard = once(conn, 'news');

  conn.open(name);
  await collect();
  other.put(name, 'two');
  assert.equal((await heard)[0].name, name);
});

test('a listener that throws takes no news from the others', async () => {
  const child = startScript(`
    const conn = shmreg.connect(), other = shmreg.connect();
    const names = ['news/x', 'news/y'];
    for (const name of names) conn.put(name, '-');
    const regions = conn.openMany(names);
    process.on('uncaughtException', (error) => say(error.message));
    conn.on('news', (region) => { throw new Error(region.name); });
    for (const name of names) other.destroy(name);
    process.nextTick(() => process.nextTick(say, 'ready'));
    setImmediate(() => conn.on('news', () => {}));
    await Promise.allSettled(regions.map((region) => region.wait()));
    setImmediate(() => conn.removeAllListeners('news'));
  `);
  const lines = [await child.line(), await child.line(), await child.line()];

  assert.deepEqual(lines.sort(), ['news/x', 'news/y', 'ready']);
  assert.equal(await child.ended(), 0);
});

test('a process ends with a connection, a region and arrays open, and unref()ed waits', async () => {
  const child = startScript(`
    const conn = shmreg.connect();
    const region = conn.create('news/own', 4096, { lifetime: 'owner', syncBlock: true });
    globalThis.array = region.array();
    await region.wait({ timeout: 1 }).catch((error) => say(error.code));
    conn.unref();
    conn.on('news', () => {});
    region.wait();
  `);

  assert.equal(await child.line(), 'ETIMEDOUT');
  assert.equal(await child.ended(), 0);
});

test('a pending wait keeps a process alive', async () => {
  conn.put(name, 'one');
  const child = startScript(`
    const region = shmreg.connect().open('${name}');
    setImmediate(say, 'waits');
    await region.wait();
    region.refresh();
    say(region.bytes);
  `);

  assert.equal(await child.line(), 'waits');
  conn.put(name, 'two');
  assert.equal(await child.line(), 'two');
  assert.equal(await child.ended(), 0);
});

test('process.exit() in the middle of everything', async () => {
  const child = startScript(`
    const conn = shmreg.connect();
    const region = conn.create('news/exit', 4096, { lifetime: 'owner', syncBlock: true });
    globalThis.array = region.array();
    conn.on('news', () => {});
    region.wait();
    region.waitEvent();
    await region.lockAsync();
    region.lockAsync();
    process.exit(7);
  `);

  assert.equal(await child.ended(), 7);
});

test('threads share a region, and wait for each other', async () => {
  const region = conn.create(name, 4096, { syncBlock: true });
  const counts = region.array({ dtype: 'int32' });
  const worker = startWorker(`
    const region = shmreg.connect().open('${name}', { write: true });
    const array = region.array({ dtype: 'int32' });
    port.postMessage('waits');
    const event = await region.waitEvent(0);
    array[1] = array[0] + event;
    region.notify();
  `);

  const exited = once(worker, 'exit'); // it may be over before the last line is reached
  await once(worker, 'message');
  counts[0] = 41;
  region.notify();
  assert.equal(await region.waitEvent(1, { timeout: TIMEOUT }), 2);
  assert.equal(counts[1], 42);
  assert.deepEqual(await exited, [0]);
  region.close();
});

test('a thread that is terminated in the middle of everything gives all back', async () => {
  const region = conn.create(name, 4096, { syncBlock: true });
  const worker = startWorker(`
    const conn = shmreg.connect();
    const region = conn.open('${name}', { write: true });
    globalThis.array = region.array();
    conn.on('news', () => {});
    region.wait();
    region.waitEvent();
    globalThis.lock = await region.lockAsync();
    region.lockAsync();
    port.postMessage('holds');
  `);

  await once(worker, 'message');
  assert.throws(() => region.lock(), { code: 'ETIMEDOUT' });
  await worker.terminate();
  region.lock({ timeout: TIMEOUT }).unlock();
  region.close();
});
