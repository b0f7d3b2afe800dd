'use strict';

/*
 * News of one connection: who waits for which region, and who listens
 *
 * The event loop is watched from the first wait or listener on. That alone does not keep the process
 * alive: a pending wait does, and a listener, unless the connection is unref()ed. A connection that
 * is kept for neither may be collected.
 */
const { setTimeout, clearTimeout } = require('node:timers');
const native = require('./native');
const { NEWS, wordList } = require('./options');

/* Whoever is waited for or listened to is not to be collected. */
const awake = new Set();

function failure(code, errno, message) {
  return Object.assign(new Error(message), { code, errno });
}

class News {
  #box;
  #emitter;
  #watching = false;
  #refd = true;
  #listening = false;
  #waiters = new Set();
  #regions = new Map(); /* by id, weakly */
  #kept = new Set(); /* while somebody listens, regions are not collected either */
  #collected = new FinalizationRegistry(({ id, reference }) => {
    if (this.#regions.get(id) === reference) this.#regions.delete(id);
  });

  constructor(box, emitter) {
    this.#box = box;
    this.#emitter = emitter;
  }

  add(id, region) {
    const reference = new WeakRef(region);

    this.#regions.set(id, reference);
    this.#collected.register(region, { id, reference }, region);
    if (this.#listening) this.#kept.add(region);
  }

  remove(id, region) {
    this.#collected.unregister(region);
    if (this.#regions.get(id)?.deref() === region) this.#regions.delete(id);
    this.#kept.delete(region);
    for (const waiter of [...this.#waiters])
      if (waiter.region === region)
        this.#settle(
          waiter,
          failure('ECANCELED', -125, `region '${region.name}' was closed meanwhile`),
        );
  }

  regions() {
    return [...this.#regions.values()].map((reference) => reference.deref()).filter(Boolean);
  }

  async wait(region, msec) {
    if (!region.isCurrent) return;
    this.#watch();
    await new Promise((resolve, reject) => {
      const waiter = { region, resolve, reject };

      if (msec >= 0) waiter.timer = setTimeout(() => this.#timeOut(waiter), msec);
      this.#waiters.add(waiter);
      this.#update();
    });
  }

  listen(listening) {
    this.#listening = listening;
    this.#kept = new Set(listening ? this.regions() : []);
    if (listening) this.#watch();
    this.#update();
  }

  setRef(refd) {
    this.#refd = refd;
    this.#update();
  }

  end() {
    this.#listening = false;
    this.#update();
    native.end(this.#box);
  }

  #watch() {
    const weak = new WeakRef(this);

    if (this.#watching) return;
    native.watch(this.#box, () => weak.deref()?.#process());
    this.#watching = true;
  }

  #update() {
    const needed = this.#waiters.size > 0 || this.#listening;

    if (needed) awake.add(this);
    else awake.delete(this);
    for (const { timer } of this.#waiters)
      if (this.#refd) timer?.ref();
      else timer?.unref();
    if (this.#watching) native.hold(this.#box, needed && this.#refd);
  }

  #settle(waiter, error) {
    clearTimeout(waiter.timer);
    this.#waiters.delete(waiter);
    this.#update();
    if (error) waiter.reject(error);
    else waiter.resolve();
  }

  #timeOut(waiter) {
    const late = failure('ETIMEDOUT', -110, `region '${waiter.region.name}' has not changed`);

    this.#settle(waiter, waiter.region.isCurrent ? late : undefined);
  }

  /* Each listener in a tick of its own: one that throws keeps no news from the others. */
  #process() {
    const news = native.process(this.#box);

    for (const waiter of [...this.#waiters]) if (!waiter.region.isCurrent) this.#settle(waiter);
    for (let i = 0; i < news.length; i += 2) {
      const region = this.#regions.get(news[i])?.deref();

      process.nextTick(() => {
        if (region && !region.closed)
          this.#emitter.emit('news', region, wordList(NEWS, news[i + 1]));
      });
    }
  }
}

module.exports = { News };
