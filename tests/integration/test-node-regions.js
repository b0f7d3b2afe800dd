'use strict';

/* Regions from Node.js: every call, every type, errors, rights, and writes where none is allowed. */
const assert = require('node:assert/strict');
const { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } = require('node:fs');
const path = require('node:path');
const { test, afterEach } = require('node:test');
const { shmreg, Daemon, startScript, collect, TIMEOUT, USER } = require('./node.js');

const conn = shmreg.connect();
const names = ['a', 'b', 'dir/c'];

afterEach(() => {
  for (const name of names)
    try {
      conn.destroy(name);
    } catch (error) {
      assert.equal(error.code, 'ENOENT');
    }
});

const ARRAYS = {
  int8: Int8Array.of(-128, 0, 127),
  uint8: Uint8Array.of(0, 255),
  int16: Int16Array.of(-32768, 32767),
  uint16: Uint16Array.of(65535, 1),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  uint32: Uint32Array.of(2 ** 32 - 1),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: BigUint64Array.of(2n ** 64n - 1n),
  float32: Float32Array.of(1.5, -0, Infinity),
  float64: Float64Array.of(Math.PI, NaN, -Infinity),
};

for (const [dtype, array] of Object.entries(ARRAYS))
  test(`an array of ${dtype} is what it was`, () => {
    assert.equal(conn.putArray('a', array), 1);
    const region = conn.open('a');

    assert.deepEqual(region.array(), array);
    assert.deepEqual(region.attributes, {
      media_type: 'application/x-ndarray',
      dtype,
      shape: [array.length],
      order: 'C',
    });
    region.close();
  });

test('short names of types are read, too; others and what is too long are errors', () => {
  const region = conn.create('a', 24);

  assert.ok(region.array() instanceof Uint8Array);
  assert.equal(region.array({ dtype: '<f8' }).length, 3);
  assert.equal(region.array({ dtype: '|b1', shape: [2, 3] }).length, 6);
  assert.equal(region.array({ dtype: 'float32', shape: [] }).length, 1);
  assert.throws(() => region.array({ dtype: '>f8' }), /dtype '>f8' is none of/);
  assert.throws(() => region.array({ dtype: 'float64', shape: [2, 2] }), RangeError);
  assert.throws(() => region.array({ shape: [-1] }), TypeError);
  region.close();
});

test('an array takes the place of one of another type', () => {
  conn.putArray('a', Uint8Array.of(1, 2, 3));
  assert.equal(
    conn.putArray('a', Float64Array.of(1, 2, 3, 4), { shape: [2, 2], attributes: { unit: 'EUR' } }),
    2,
  );
  const region = conn.open('a');

  assert.deepEqual(region.array(), Float64Array.of(1, 2, 3, 4));
  assert.deepEqual(region.attributes.shape, [2, 2]);
  assert.equal(region.attributes.unit, 'EUR');
  assert.throws(() => conn.putArray('a', Float64Array.of(1), { expect: 1 }), { code: 'ESTALE' });
  assert.throws(() => conn.putArray('a', Float64Array.of(1), { shape: [2] }), RangeError);
  region.close();
});

test('all that can be told at creation can be read again', () => {
  conn
    .create('dir/c', 4096, {
      backing: 'memfd',
      lifetime: 'attached',
      seconds: 60,
      mode: 0o640,
      acl: [`user:${USER}:rw`, 'group:0:r'],
      attributes: { media_type: 'text/plain' },
      maxSize: 8192,
      syncBlock: true,
      populate: true,
    })
    .close();
  const { created, changed, id, readers, writers, remainingSeconds, ...rest } =
    conn.describe('dir/c');

  assert.ok(id > 0 && created instanceof Date && changed >= created && readers + writers <= 1);
  assert.deepEqual(rest, {
    name: 'dir/c',
    size: 4096,
    maxSize: 8192,
    version: 1,
    backing: 'memfd',
    lifetime: 'attached',
    seconds: 60,
    mode: 0o640,
    acl: [`user:${USER}:rw`, 'group:0:r'],
    attributes: { media_type: 'text/plain' },
    ownerUid: 0,
    ownerGid: 0,
    rights: ['read', 'write', 'manage'],
    sealed: false,
    syncBlock: true,
    hugePages: undefined,
    durability: 'none',
    durabilitySeconds: 0,
  });
});

test('errors have code, errno and the sentence of the daemon', () => {
  assert.throws(() => conn.open('b'), {
    code: 'ENOENT',
    errno: -2,
    message: "there is no region 'b'",
  });
  conn.create('a', 1).close();
  assert.throws(() => conn.create('a', 1), { code: 'EEXIST' });
  assert.equal(conn.create('a', 5, { existingOk: true }).size, 1);
  assert.throws(() => conn.create('no//name', 1), { code: 'EINVAL' });
  assert.throws(() => conn.create('b', 0), { code: 'EINVAL' });
  assert.throws(() => conn.create('b\0c', 1), { code: 'EINVAL' });
  assert.throws(() => shmreg.connect('/nowhere'), { code: 'ENOENT' });
});

test('what makes no sense is refused before anybody is asked', () => {
  assert.throws(() => conn.create('b', 1, { lifetme: 'owner' }), /unknown option 'lifetme'/);
  assert.throws(() => conn.create('b', 1, { lifetime: 'short' }), /none of persistent, attached/);
  assert.throws(() => conn.create('b', 1.5), RangeError);
  assert.throws(() => conn.create('b', '1'), TypeError);
  assert.throws(() => conn.create('b', 1, { mode: -1 }), RangeError);
  assert.throws(() => conn.create(7, 1), TypeError);
  assert.throws(() => conn.open('b', { write: true, private: true }), TypeError);
  assert.throws(() => conn.openMany(Array(65).fill('b')), { code: 'EINVAL' });
});

test('values in one round trip', () => {
  conn.put('a', 'text');
  assert.equal(conn.get('a').toString(), 'text');
  conn.put('a', Float64Array.of(1, 2).subarray(1));
  assert.equal(conn.get('a').readDoubleLE(), 2);
  conn.put('a', new Uint8Array([7]).buffer);
  assert.deepEqual([...conn.get('a')], [7]);
  assert.equal(conn.describe('a').version, 3);
  assert.throws(() => conn.put('a', Buffer.alloc(1 << 20)), { code: 'EMSGSIZE' });
});

test('a stage is seen by nobody until it is published, and then whole', () => {
  conn.put('a', 'old');
  const reader = conn.open('a');
  const stage = conn.stage('a', 5, { attributes: { dtype: 'uint8' } });

  stage.bytes.write('newer');
  assert.equal(stage.version, 0);
  assert.equal(conn.get('a').toString(), 'old');
  assert.throws(() => stage.publish({ expect: 7 }), { code: 'ESTALE' });
  assert.equal(stage.publish({ expect: 1 }), 2);
  const old = reader.bytes;

  assert.equal(reader.isCurrent, false);
  assert.equal(reader.refresh(), true);
  assert.equal(reader.bytes.toString(), 'newer');
  assert.equal(old.toString(), 'old');
  reader.dropOld();
  assert.equal(old.length, 0);
  assert.equal(reader.bytes.toString(), 'newer');
  assert.equal(reader.refresh(), false);
  reader.close();
  stage.close();
});

test('a region grows in place, and is sealed', async () => {
  const writer = conn.create('a', 4096, { maxSize: 8192 });
  const before = writer.array();

  conn.resize('a', 8192);
  writer.refresh();
  assert.equal(writer.array().length, 8192);
  writer.array()[0] = 9;
  assert.equal(before[0], 9);
  assert.throws(() => conn.resize('a', 8193), { code: 'EINVAL' });
  assert.throws(() => conn.seal('a'), { code: 'EBUSY' });
  writer.close();
  await collect();
  conn.seal('a');
  assert.throws(() => conn.open('a', { write: true }), { code: 'EPERM' });
  assert.equal(conn.describe('a').sealed, true);
});

test('a region grows from nothing', () => {
  const region = conn.create('a', 0, { maxSize: 100 });

  assert.equal(region.array().length, 0);
  assert.equal(region.array().length, 0);
  conn.resize('a', 50);
  region.refresh();
  region.array().fill(7);
  assert.deepEqual([...conn.get('a')], Array(50).fill(7));
  region.close();
});

test('memory that is there already becomes a region', () => {
  const folder = mkdtempSync('/dev/shm/shmreg-node-');
  const fd = openSync(path.join(folder, 'memory'), 'w+', 0o644);

  rmSync(folder, { recursive: true });
  writeSync(fd, 'content');
  const region = conn.adopt('a', fd, { attributes: { media_type: 'text/plain' } });
  const reader = conn.open('a');

  assert.deepEqual([region.size, region.writable, region.bytes.toString()], [7, true, 'content']);
  region.write('C');
  assert.equal(reader.bytes.toString(), 'Content');
  assert.equal(conn.describe('a').backing, 'adopted');
  assert.throws(() => conn.stage('a', 7), { code: 'EOPNOTSUPP' });
  assert.throws(() => conn.adopt('b', fd, { maxSize: 100 }), { code: 'EINVAL' });
  closeSync(fd);
  assert.throws(() => conn.adopt('b', fd), { code: 'EBADF' });
  region.close();
  reader.close();
});

test('a list has what the caller may use, as describe() has it', async () => {
  const listed = (regions) => regions.map(({ name }) => name);

  conn.put('a', 'A', { mode: 0o644 });
  conn.create('dir/c', 4096, { backing: 'memfd', acl: 'group:0:r', syncBlock: true }).close();
  await collect();
  const regions = await conn.list();

  assert.deepEqual(listed(regions), ['a', 'dir/c']);
  for (const region of regions) {
    const { rights, ...described } = conn.describe(region.name);

    assert.deepEqual(region, described);
  }
  assert.deepEqual(listed(await conn.list('dir/')), ['dir/c']);
  const child = startScript(
    'say((await shmreg.connect().list()).map((region) => region.name))',
    { user: true },
  );

  assert.equal(await child.line(), 'a');
  assert.equal(await child.ended(), 0);
});

test('a daemon that is killed and started again is the same to all', async () => {
  const daemon = new Daemon();
  const own = await daemon.start();
  const writer = own.create('a', 4096, { lifetime: 'attached', seconds: 1 });
  const reader = own.open('a');

  const written = writer.array();
  const read = reader.array();

  written[0] = 7;
  const waiting = reader.wait({ timeout: TIMEOUT });

  await daemon.child.kill();
  assert.equal(read[0], 7);
  const other = await daemon.start();

  const { readers, writers } = own.describe('a');

  assert.deepEqual([readers, writers], [1, 1]);
  assert.deepEqual(
    (await own.list()).map(({ name }) => name),
    ['a'],
  );
  assert.equal(reader.isCurrent, true);
  written[1] = 8;
  assert.equal(other.open('a').array()[1], 8);
  other.put('a', 'new');
  await waiting;
  reader.refresh();
  assert.equal(reader.bytes.toString(), 'new');
  own.destroy('a');
  await daemon.stop();
  await assert.rejects(own.list(), { code: 'ENOENT' });
  own.close();
  other.close();
});

test('the types have what the package has', () => {
  const types = readFileSync(path.join(process.env.SHMREG_NODE, 'index.d.ts'), 'utf8');

  for (const [name, kind] of Object.entries({ ...shmreg, connect: undefined })) {
    if (!kind) continue;
    const [, body] = new RegExp(`^export class ${name} [^]*?\\{([^]*?)^}`, 'm').exec(types);
    const declared = [...body.matchAll(/^  (?:readonly )?(\w+)(?:<.*?>)?[(:]/gm)].map((it) => it[1]);
    const present = Object.getOwnPropertyNames(kind.prototype);
    const inherited = ['constructor', 'on', 'once'];
    const own = (names) => [...new Set(names)].filter((it) => !inherited.includes(it)).sort();

    assert.deepEqual(own(declared), own(present), name);
  }
});

test('snapshots, leases, and files', async () => {
  conn.put('a', 'content');
  await conn.snapshot('a', 'b', {
    attributes: { media_type: 'text/plain' },
    lifetime: 'lease',
    seconds: 60,
  });
  assert.equal(conn.get('b').toString(), 'content');
  conn.renew('b');
  assert.ok(conn.describe('b').remainingSeconds > 50);
  assert.throws(() => conn.renew('a'), { code: 'EINVAL' });
  await assert.rejects(conn.snapshot('no', 'b'), {
    code: 'ENOENT',
    message: "there is no region 'no'",
  });

  const file = conn.create('dir/c', 4096, { backing: 'file' });
  file.bytes.write('kept');
  file.flush();
  assert.throws(() => file.flush(0, 4097), { code: 'EINVAL' });
  file.close();
});

test("what was put is nobody's any more", () => {
  conn.putArray('a', Uint8Array.of(1, 2));
  conn.seal('a');
  const region = conn.create('b', 4);

  region.write('xyz', 1);
  assert.throws(() => region.write('xyz', 2), { code: 'EINVAL' });
  region.close();
  conn.seal('b');
  const reader = conn.open('b');
  assert.throws(() => reader.write('no'), { code: 'EACCES' });
  assert.equal(reader.bytes.toString(), '\0xyz');
  reader.close();
});

test('many at once, or none', () => {
  conn.put('a', 'A');
  conn.put('b', 'B');
  const regions = conn.openMany(['a', 'b']);

  assert.equal(regions.map((region) => region.bytes).join(''), 'AB');
  for (const region of regions) region.close();
  assert.throws(() => conn.openMany(['a', 'dir/c']), { code: 'ENOENT' });
});

test('another user maps what the rules allow, and is told what he lacks', async () => {
  conn.put('a', 'secret');
  const script = `
    const conn = shmreg.connect();
    const attempt = (how) => { try { how(); say('done'); } catch (e) { say(e.code + ' ' + e.message); } };
    const b = conn.open('b');
    attempt(() => conn.open('a'));
    await b.wait();
    attempt(() => say(conn.open('a').bytes));
    attempt(() => conn.open('a', { write: true }));
    attempt(() => conn.destroy('a'));
  `;

  conn.put('b', 'any', { mode: 0o644 });
  const child = startScript(script, { user: true });
  assert.match(await child.line(), /^EACCES .* lacks the right 'r' to region 'a'/);
  conn.setAccess('a', { acl: [`user:${USER}:r`] });
  conn.put('b', 'other');
  assert.equal(await child.line(), 'secret');
  assert.equal(await child.line(), 'done');
  assert.match(await child.line(), /^EACCES .* lacks the right 'w' to region 'a'/);
  assert.match(await child.line(), /^EACCES .* lacks the right 'm' to region 'a'/);
  assert.equal(await child.ended(), 0);
});

test('a write to a region that is open for reading stays where it was made', () => {
  const writer = conn.create('a', 8192);
  const reader = conn.open('a');

  reader.array()[0] = 7;
  assert.deepEqual([reader.array()[0], writer.array()[0]], [7, 0]);
  writer.array()[4096] = 8;
  assert.equal(reader.array()[4096], 8);
  writer.close();
  reader.close();
});

test('without the copy the kernel kills who writes, and nobody else sees it', async () => {
  const writer = conn.create('a', 4096);
  const child = startScript(`
    const array = shmreg.connect().open('a', { private: false }).array();
    say(array[0]);
    array[0] = 7;
  `);

  assert.equal(await child.line(), '0');
  assert.equal(await child.ended(), 'SIGSEGV');
  assert.equal(writer.array()[0], 0);
  writer.close();
});

test('a region ends with the process that owns it', async () => {
  const child = startScript(
    "shmreg.connect().create('a', 1, { lifetime: 'owner' }); say('made'); forever()",
  );

  await child.line();
  const region = conn.open('a');
  const gone = region.wait({ timeout: 10_000 });

  await child.kill();
  await gone;
  assert.throws(() => region.refresh(), { code: 'ENOENT' });
  assert.equal(region.bytes[0], 0);
  region.close();
});

test('what is closed says so, and its arrays are empty', () => {
  const other = shmreg.connect();
  const region = other.create('a', 4096);
  const array = region.array();
  const part = region.window(4000, 96);

  assert.equal(part.byteLength, 96);
  assert.throws(() => region.window(4000, 97), { code: 'EINVAL' });
  region.close();
  region.close();
  assert.deepEqual([array.length, part.byteLength, array[0]], [0, 0, undefined]);
  assert.throws(() => region.size, { code: 'EBADF', message: 'this region is closed' });
  const second = other.open('a');

  other.close();
  other.close();
  assert.equal(second.closed, true);
  assert.throws(() => other.open('a'), { code: 'EBADF', message: 'this connection is closed' });
});

test('using gives back', { skip: !Symbol.dispose && 'this Node.js has no Symbol.dispose' }, () => {
  const region = conn.create('a', 1);

  region[Symbol.dispose]();
  assert.equal(region.closed, true);
  assert.equal(typeof conn[Symbol.dispose], 'function');
});
