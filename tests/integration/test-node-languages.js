'use strict';

/*
 * One region, several languages: arrays of every type from Node.js to Python and back, and from
 * Python through C to Node.js. Everybody sleeps until he is notified. Needs SHMREG_PYTHON (an
 * interpreter that finds the package), SHMREG_EXAMPLES (the built ones) and SHMREG_SCRIPTS.
 */
const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { shmreg, startProgram, TIMEOUT } = require('./node.js');

const { SHMREG_PYTHON, SHMREG_EXAMPLES, SHMREG_SCRIPTS } = process.env;
const conn = shmreg.connect();

const ARRAYS = {
  bool: Uint8Array.of(1, 0, 0),
  int8: Int8Array.of(-128, 0, 127),
  uint8: Uint8Array.of(0, 1, 255),
  int16: Int16Array.of(-32768, 0, 32767),
  uint16: Uint16Array.of(0, 1, 65535),
  int32: Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1),
  uint32: Uint32Array.of(0, 1, 2 ** 32 - 1),
  int64: BigInt64Array.of(-(2n ** 63n), 0n, 2n ** 63n - 1n),
  uint64: BigUint64Array.of(0n, 1n, 2n ** 64n - 1n),
  float32: Float32Array.of(1.5, -0, Infinity),
  float64: Float64Array.of(Math.PI, NaN, -Infinity),
};

/* Whatever array it is told of, it gives back reversed. */
const REVERSER = `
import numpy, shmreg
connection = shmreg.connect()
turn = connection.open("turn/python")
print("ready", flush=True)
while True:
    turn.wait()
    turn.refresh()
    dtype = turn.copy().decode()
    if dtype == "end":
        break
    with connection.open("to-python/" + dtype) as region:
        array = region.ndarray()
        print(array.dtype, *array.shape, flush=True)
        connection.put_array("to-node/" + dtype, numpy.flip(array).copy())
        del array
    connection.put("turn/node", dtype.encode())
`;

test('Python reads what Node.js writes, and the other way round, in every type', async () => {
  conn.put('turn/python', '-');
  conn.put('turn/node', '-');
  const turn = conn.open('turn/node');
  const python = startProgram(SHMREG_PYTHON, ['-c', REVERSER]);

  assert.equal(await python.line(), 'ready');
  for (const [dtype, array] of Object.entries(ARRAYS)) {
    const attributes = dtype === 'bool' ? { dtype } : {};

    conn.putArray(`to-python/${dtype}`, array, { shape: [1, 3], attributes });
    conn.put('turn/python', dtype);
    await turn.wait({ timeout: TIMEOUT });
    turn.refresh();
    assert.equal(turn.bytes.toString(), dtype);
    assert.equal(await python.line(), `${dtype} 1 3`);
    const region = conn.open(`to-node/${dtype}`);

    assert.equal(region.attributes.dtype, dtype);
    assert.deepEqual(region.attributes.shape, [1, 3]);
    assert.deepEqual(region.array(), array.slice().reverse());
    region.close();
  }
  conn.put('turn/python', 'end');
  assert.equal(await python.ended(), 0);
});

test('from Python through C to Node.js, until the first of them is killed', async () => {
  const python = startProgram(SHMREG_PYTHON, [
    path.join(SHMREG_SCRIPTS, 'write-prices.py'),
    'demo/prices',
  ]);

  python.process.stdin.write('1 2 3\n');
  assert.equal(await python.line(), 'demo/prices: version 1, 3 prices');
  const c = startProgram(path.join(SHMREG_EXAMPLES, 'example-average-prices'), [
    'demo/prices',
    'demo/averages',
  ]);

  assert.equal(await c.line(), 'demo/averages: version 1, 3 averages');
  const reader = startProgram(process.execPath, [
    path.join(SHMREG_SCRIPTS, 'print-prices.js'),
    'demo/averages',
  ]);

  assert.equal(await reader.line(), 'demo/averages: version 1, 3 numbers, the highest 2');
  python.process.stdin.write('4 8 12 16\n');
  assert.equal(await python.line(), 'demo/prices: version 2, 4 prices');
  assert.equal(await c.line(), 'demo/averages: version 2, 4 averages');
  assert.equal(await reader.line(), 'demo/averages: version 2, 4 numbers, the highest 10');
  assert.equal(await python.kill(), 'SIGKILL');
  assert.equal(await c.line(), 'demo/prices has ended');
  assert.equal(await c.ended(), 0);
  assert.equal(await reader.line(), 'demo/averages has ended');
  assert.equal(await reader.ended(), 0);
});
