'use strict';

/*
 * read-table.js NAME: reads a table in Arrow's file format where it lies
 *
 * The columns are views of the region: what is not looked at is never read, and nothing is copied.
 */
const arrow = require('apache-arrow');
const shmreg = require('shmreg');

function main(name) {
  const region = shmreg.connect().open(name);

  if (region.attributes.media_type !== 'application/vnd.apache.arrow.file')
    throw new TypeError(`region '${name}' is no table, but ${region.attributes.media_type}`);
  const table = arrow.tableFromIPC(region.bytes);
  const [prices] = table.getChild('price').data;
  const last = table.get(table.numRows - 1);

  console.log(`${name}: ${table.numRows} rows of ${table.schema.names.join(', ')}`);
  console.log(`last: ${last.id} ${last.price} ${last.venue}`);
  console.log(`copied: ${prices.values.buffer !== region.buffer}`);
}

if (process.argv.length !== 3) {
  console.error('usage: read-table.js NAME');
  process.exitCode = 2;
} else {
  main(process.argv[2]);
}
