'use strict';

const { constants } = require('node:buffer');
const native = require('./native');
const { threadLock, keptLock } = require('./lock');
const { layout, bytesOf } = require('./dtype');
const { timeout } = require('./options');

const EACCES = { code: 'EACCES', errno: -13 };
const ECANCELED = { code: 'ECANCELED', errno: -125 };

/* A handle to a region that is mapped; index.d.ts is its manual. */
class Region {
  #connection;
  #news;
  #box;
  #id;
  #name;
  #writable;
  #attributes;
  #buffer;
  #closed = false;
  #lock; /* the last one awaited, weakly: there is one at most that is held */

  /* Only Connection makes one. */
  constructor(connection, news, box, { name, writable, attributes }) {
    this.#connection = connection;
    this.#news = news;
    this.#box = box;
    this.#id = native.id(box);
    this.#name = name;
    this.#writable = writable;
    this.#attributes = attributes;
    news.add(this.#id, this);
  }

  get connection() {
    return this.#connection;
  }

  get name() {
    return this.#name;
  }

  get writable() {
    return this.#writable;
  }

  get closed() {
    return this.#closed;
  }

  get size() {
    return native.size(this.#box);
  }

  get version() {
    return native.version(this.#box);
  }

  get isCurrent() {
    return native.isCurrent(this.#box);
  }

  get fd() {
    return native.fd(this.#box);
  }

  get attributes() {
    this.#attributes ??= this.describe().attributes;
    return this.#attributes;
  }

  get buffer() {
    const size = this.size;

    if (size > constants.MAX_LENGTH)
      throw new RangeError(
        `region '${this.#name}' has ${size} bytes, more than one ArrayBuffer: use window()`,
      );
    if (this.#buffer?.byteLength !== size) this.#buffer = native.view(this.#box, 0, size);
    return this.#buffer;
  }

  get bytes() {
    return Buffer.from(this.buffer);
  }

  window(offset, length) {
    return native.view(this.#box, offset, length);
  }

  write(data, offset = 0) {
    if (!this.#writable)
      throw Object.assign(new Error(`region '${this.#name}' is open for reading`), EACCES);
    native.write(this.#box, offset, bytesOf(data));
  }

  array(description = this.attributes) {
    const { type, length } = layout(description, this.size);

    return new type(this.buffer, 0, length);
  }

  refresh() {
    const moved = native.refresh(this.#box);

    if (moved) this.#buffer = undefined;
    this.#attributes = undefined;
    return moved;
  }

  dropOld() {
    native.dropOld(this.#box);
  }

  wait(options = {}) {
    return this.#news.wait(this, timeout(options.timeout));
  }

  publish(options = {}) {
    return native.publish(this.#box, options.expect ?? 0);
  }

  flush(offset = 0, length = this.size - offset) {
    native.flush(this.#box, offset, length);
  }

  describe() {
    return this.#connection.describe(this.#name);
  }

  lock(options = {}) {
    return threadLock(this.#box, native.lock(this.#box, timeout(options.timeout, 0)));
  }

  async lockAsync(options = {}) {
    const lock = keptLock(await native.keepLock(this.#box, timeout(options.timeout)));

    this.#lock = new WeakRef(lock);
    if (!this.#closed) return lock;
    lock.unlock();
    throw Object.assign(new Error(`region '${this.#name}' was closed meanwhile`), ECANCELED);
  }

  read(reader, options = {}) {
    const msec = timeout(options.timeout, 1000);

    for (;;) {
      const begun = native.readBegin(this.#box, msec);
      const result = reader(this);

      if (!native.readRetry(this.#box, begun)) return result;
    }
  }

  notify() {
    native.notify(this.#box);
  }

  waitEvent(last = 0, options = {}) {
    return native.waitEvent(this.#box, last, timeout(options.timeout));
  }

  lockRange(offset = 0, length = 0, options = {}) {
    native.lockRange(this.#box, offset, length, options.exclusive ?? this.#writable);
  }

  unlockRange(offset = 0, length = 0) {
    native.unlockRange(this.#box, offset, length);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#news.remove(this.#id, this);
    this.#lock?.deref()?.unlock();
    native.detach(this.#box);
    this.#buffer = undefined;
    native.end(this.#box);
  }
}

if (Symbol.dispose) Region.prototype[Symbol.dispose] = Region.prototype.close;

module.exports = { Region };
