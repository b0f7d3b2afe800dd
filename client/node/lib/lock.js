'use strict';

const native = require('./native');

const RECOVERED = 2;
const WRITE_BEGIN = 3;
const WRITE_END = 4;

/* The lock of a region, held until unlock(). `owner` does for it what only its owner may do. */
class Lock {
  #owner;
  #ownerDied;

  constructor(owner, ownerDied) {
    this.#owner = owner;
    this.#ownerDied = ownerDied;
  }

  get held() {
    return this.#owner !== undefined;
  }

  get ownerDied() {
    return this.#ownerDied;
  }

  #held() {
    if (this.#owner) return this.#owner;
    throw Object.assign(new Error('this lock was given back'), { code: 'EPERM', errno: -1 });
  }

  recovered() {
    this.#held().recovered();
  }

  writeBegin() {
    this.#held().writeBegin();
  }

  writeEnd() {
    this.#held().writeEnd();
  }

  unlock() {
    const owner = this.#owner;

    this.#owner = undefined;
    owner?.unlock();
  }
}

if (Symbol.dispose) Lock.prototype[Symbol.dispose] = Lock.prototype.unlock;

/* Owned by this thread. */
function threadLock(region, ownerDied) {
  return new Lock(
    {
      recovered: () => native.lockRecovered(region),
      writeBegin: () => native.writeBegin(region),
      writeEnd: () => native.writeEnd(region),
      unlock: () => native.unlock(region),
    },
    ownerDied,
  );
}

/* Owned by a thread that keeps it. */
function keptLock([keeper, ownerDied]) {
  return new Lock(
    {
      recovered: () => native.keeperCall(keeper, RECOVERED),
      writeBegin: () => native.keeperCall(keeper, WRITE_BEGIN),
      writeEnd: () => native.keeperCall(keeper, WRITE_END),
      unlock: () => native.end(keeper),
    },
    ownerDied,
  );
}

module.exports = { Lock, threadLock, keptLock };
