'use strict';

/*
 * write-table.js NAME ROWS: publishes a table in Arrow's file format
 *
 * It is staged, so nobody reads half a table, and its media type says what it is.
 */
const arrow = require('apache-arrow');
const shmreg = require('shmreg');

function table(rows) {
  return arrow.tableFromArrays({
    id: Int32Array.from({ length: rows }, (_, i) => i),
    price: Float64Array.from({ length: rows }, (_, i) => i / 4),
    venue: Array.from({ length: rows }, (_, i) => ['XETR', 'XLON', 'XNYS'][i % 3]),
  });
}

function main(name, rows) {
  const file = arrow.tableToIPC(table(rows), 'file');
  const conn = shmreg.connect();
  const stage = conn.stage(name, file.byteLength, {
    mode: 0o644,
    attributes: { media_type: 'application/vnd.apache.arrow.file' },
  });

  stage.write(file);
  console.log(`${name}: version ${stage.publish()}, ${rows} rows in ${file.byteLength} bytes`);
  conn.close();
}

if (process.argv.length !== 4) {
  console.error('usage: write-table.js NAME ROWS');
  process.exitCode = 2;
} else {
  main(process.argv[2], Number(process.argv[3]));
}
