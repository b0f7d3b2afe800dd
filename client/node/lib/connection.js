'use strict';

const { EventEmitter } = require('node:events');
const native = require('./native');
const { News } = require('./news');
const { Region } = require('./region');
const { listRegions } = require('./listing');
const { attributesOf, bytesOf } = require('./dtype');
const { WRITE, MODE_DEFAULT, ...options } = require('./options');

/* One connection to a daemon; index.d.ts is its manual. */
class Connection extends EventEmitter {
  #box;
  #path;
  #news;
  #closed = false;

  /* Only connect() makes one. */
  constructor(path) {
    super();
    this.#path = path;
    this.#box = native.connect(path);
    this.#news = new News(this.#box, this);
    this.on('newListener', (event) => event === 'news' && this.#news.listen(true));
    this.on(
      'removeListener',
      (event) => event === 'news' && this.#news.listen(this.listenerCount('news') > 0),
    );
  }

  get closed() {
    return this.#closed;
  }

  #region(box, description) {
    return new Region(this, this.#news, box, description);
  }

  #made(make, name, size, given) {
    const creation = options.creation(given);
    const attributes =
      creation.attributes === undefined ? undefined : JSON.parse(creation.attributes);
    const box = make(this.#box, name, size, creation);

    /* What was there already has attributes of its own. */
    return this.#region(box, {
      name,
      writable: true,
      attributes: given?.existingOk ? undefined : attributes,
    });
  }

  create(name, size, given) {
    return this.#made(native.create, name, size, given);
  }

  adopt(name, fd, given) {
    return this.#made(native.adopt, name, fd, given);
  }

  stage(name, size, given) {
    return this.#made(native.stage, name, size, given);
  }

  open(name, given) {
    const access = options.access(given);

    return this.#region(native.open(this.#box, name, access), {
      name,
      writable: (access & WRITE) !== 0,
    });
  }

  openMany(names, given) {
    const access = options.access(given);

    return native
      .openMany(this.#box, names, access)
      .map((box, i) => this.#region(box, { name: names[i], writable: (access & WRITE) !== 0 }));
  }

  put(name, data, { mode = MODE_DEFAULT } = {}) {
    native.put(this.#box, name, bytesOf(data), mode);
  }

  get(name) {
    return native.get(this.#box, name);
  }

  putArray(name, array, { shape, attributes, expect, ...given } = {}) {
    const wanted = { ...attributesOf(array, shape), ...attributes };
    const stage = this.stage(name, Math.max(array.byteLength, 1), { ...given, attributes: wanted });

    try {
      stage.write(array);
      return stage.publish({ expect });
    } finally {
      stage.close();
    }
  }

  destroy(name) {
    native.destroy(this.#box, name);
  }

  resize(name, size) {
    native.resize(this.#box, name, size);
  }

  seal(name) {
    native.seal(this.#box, name);
  }

  renew(name, seconds = 0) {
    native.renew(this.#box, name, seconds);
  }

  describe(name) {
    return options.description(native.describe(this.#box, name));
  }

  list(prefix) {
    return listRegions(this.#path, prefix);
  }

  setAttributes(name, attributes) {
    native.setAttributes(this.#box, name, options.attributesText(attributes));
  }

  setAccess(name, { mode = MODE_DEFAULT, acl } = {}) {
    native.setAccess(this.#box, name, mode, options.aclText(acl));
  }

  async snapshot(source, name, given) {
    await native.snapshot(this.#path, source, name, options.creation(given));
  }

  ref() {
    this.#news.setRef(true);
    return this;
  }

  unref() {
    this.#news.setRef(false);
    return this;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    for (const region of this.#news.regions()) region.close();
    this.#news.end();
  }
}

if (Symbol.dispose) Connection.prototype[Symbol.dispose] = Connection.prototype.close;

module.exports = { Connection };
