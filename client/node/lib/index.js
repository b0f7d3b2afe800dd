'use strict';

/*
 * shmreg: named shared memory with an owner, from Node.js
 *
 *     const shmreg = require('shmreg');
 *     const region = shmreg.connect().open('demo/prices');
 *     console.log(region.array());
 *
 * index.d.ts is the manual.
 */
const { Connection } = require('./connection');
const { Region } = require('./region');
const { Lock } = require('./lock');

function connect(path) {
  return new Connection(path);
}

module.exports = { connect, Connection, Region, Lock };
