'use strict';

/*
 * print-prices.js NAME: prints what a region of numbers holds, whenever it is published, until it ends
 *
 * No copy is made: the typed array is the region. Between two versions the program sleeps.
 */
const shmreg = require('shmreg');

async function main(name) {
  const region = shmreg.connect().open(name);

  for (;;) {
    const prices = region.array();
    const highest = prices.reduce((a, b) => (a > b ? a : b));

    console.log(
      `${name}: version ${region.version}, ${prices.length} numbers, the highest ${highest}`,
    );
    await region.wait();
    try {
      region.refresh();
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      console.log(`${name} has ended`);
      return;
    }
  }
}

if (process.argv.length !== 3) {
  console.error('usage: print-prices.js NAME');
  process.exitCode = 2;
} else {
  main(process.argv[2]);
}
