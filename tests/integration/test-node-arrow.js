'use strict';

/*
 * Arrow tables in regions: written by one process, read by another, of another user, where they lie.
 * Needs apache-arrow in NODE_PATH; setup.sh installs it into the build directory.
 */
const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { shmreg, startProgram, USER } = require('./node.js');

const ROWS = 100_000;

function example(name, ...args) {
  return startProgram(process.execPath, [path.join(process.env.SHMREG_SCRIPTS, name), ...args]);
}

let arrow;
try {
  arrow = require('apache-arrow');
} catch (error) {
  console.error(`${error.message.split('\n')[0]}: ./setup.sh test installs it`);
  process.exit(77);
}

test('a table is written by one process, and read by another without a copy', async () => {
  const writer = example('write-table.js', 'arrow/table', String(ROWS));

  assert.match(await writer.line(), /^arrow\/table: version 1, 100000 rows in \d+ bytes$/);
  assert.equal(await writer.ended(), 0);
  const reader = example('read-table.js', 'arrow/table');

  assert.equal(await reader.line(), 'arrow/table: 100000 rows of id, price, venue');
  assert.equal(await reader.line(), 'last: 99999 24999.75 XETR');
  assert.equal(await reader.line(), 'copied: false');
  assert.equal(await reader.ended(), 0);
});

test('every column is a part of the region, for another user, too', async () => {
  process.setegid(USER);
  process.seteuid(USER);
  const region = shmreg.connect().open('arrow/table');

  process.seteuid(0);
  process.setegid(0);
  assert.equal(region.attributes.media_type, 'application/vnd.apache.arrow.file');
  const table = arrow.tableFromIPC(region.bytes);

  for (const column of table.schema.fields.map((field) => table.getChild(field.name)))
    for (const data of column.data) {
      assert.equal(data.values.buffer, region.buffer);
      for (const words of data.dictionary?.data ?? [])
        assert.equal(words.values.buffer, region.buffer);
    }
  let sum = 0;
  for (const price of table.getChild('price')) sum += price;
  assert.equal(sum, (ROWS * (ROWS - 1)) / 8);
  assert.equal(table.getChild('venue').get(1), 'XLON');
});

test('what is no table is refused', async () => {
  shmreg.connect().put('arrow/other', 'text');
  const reader = example('read-table.js', 'arrow/other');

  assert.notEqual(await reader.ended(), 0);
  assert.match(await reader.errors, /region 'arrow\/other' is no table/);
});
