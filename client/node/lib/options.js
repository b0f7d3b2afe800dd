'use strict';

/*
 * Words for the library's numbers, see shmreg.h. What is unknown is an error: a mistyped option must
 * not go unnoticed.
 */
const READ = 1;
const WRITE = 2;
const PRIVATE = 0x10;
const MODE_DEFAULT = 0xffffffff;
const MAX_TIMEOUT = 0x7fffffff;

const BACKINGS = { shm: 1, memfd: 2, file: 3, adopted: 4 };
const LIFETIMES = { persistent: 1, attached: 2, owner: 3, lease: 4, cache: 5 };
const DURABILITIES = { none: 1, interval: 2, publish: 3 };
const RIGHTS = { read: 1, write: 2, manage: 4 };
const NEWS = { published: 1, resized: 2, sealed: 4, destroyed: 8 };
const FLAGS = { existingOk: 1, syncBlock: 4 };
const HUGE_PAGES = { '2M': 16, '1G': 32 };

const MAP_FLAGS = {
  populate: 0x20,
  huge: 0x40,
  sequential: 0x80,
  random: 0x100,
  willNeed: 0x200,
  lockMemory: 0x400,
  noDump: 0x800,
  noFork: 0x1000,
};

const CREATE_KEYS = new Set([
  ...['backing', 'lifetime', 'seconds', 'mode', 'acl', 'attributes', 'maxSize', 'hugePages'],
  ...['durability', 'durabilitySeconds', ...Object.keys(FLAGS), ...Object.keys(MAP_FLAGS)],
]);
const OPEN_KEYS = new Set(['write', 'private', ...Object.keys(MAP_FLAGS)]);

function checkKeys(options, known) {
  if (options === null || typeof options !== 'object')
    throw new TypeError('options must be an object');
  for (const key of Object.keys(options))
    if (!known.has(key)) throw new TypeError(`unknown option '${key}'`);
}

function number(words, word, what) {
  if (word === undefined) return 0;
  if (!Object.hasOwn(words, word))
    throw new TypeError(`${what} '${word}' is none of ${Object.keys(words).join(', ')}`);
  return words[word];
}

function word(words, value) {
  return Object.keys(words).find((key) => words[key] === value);
}

function wordList(words, bits) {
  return Object.keys(words).filter((key) => bits & words[key]);
}

function bits(words, options) {
  let result = 0;

  for (const key of Object.keys(words)) if (options[key]) result |= words[key];
  return result;
}

function attributesText(attributes) {
  if (attributes === undefined || typeof attributes === 'string') return attributes;
  return JSON.stringify(attributes);
}

function aclText(acl) {
  return Array.isArray(acl) ? acl.join(',') : acl;
}

/* For create(), stage(), adopt() and snapshot(): the C struct's fields. */
function creation(options = {}) {
  checkKeys(options, CREATE_KEYS);
  return {
    flags: bits(FLAGS, options) | number(HUGE_PAGES, options.hugePages, 'hugePages'),
    backing: number(BACKINGS, options.backing, 'backing'),
    lifetime: number(LIFETIMES, options.lifetime, 'lifetime'),
    seconds: options.seconds ?? 0,
    mode: options.mode ?? 0,
    mapFlags: bits(MAP_FLAGS, options),
    maxSize: options.maxSize ?? 0,
    acl: aclText(options.acl),
    attributes: attributesText(options.attributes),
    durability: number(DURABILITIES, options.durability, 'durability'),
    durabilitySeconds: options.durabilitySeconds ?? 0,
  };
}

/* For open(): READ or WRITE, with the options of the mapping. */
function access(options = {}) {
  checkKeys(options, OPEN_KEYS);
  if (options.write && options.private)
    throw new TypeError("'private' is for readers: it cannot go with 'write'");
  if (options.write) return WRITE | bits(MAP_FLAGS, options);
  return READ | (options.private === false ? 0 : PRIVATE) | bits(MAP_FLAGS, options);
}

/* Milliseconds for C; without, or Infinity, is without end: -1. */
function timeout(value, absent = Infinity) {
  const msec = value ?? absent;

  if (typeof msec !== 'number' || !(msec >= 0))
    throw new RangeError('timeout must be a number of milliseconds, 0 or more');
  return msec > MAX_TIMEOUT ? -1 : Math.ceil(msec);
}

/* What shmreg_describe() says, in words. */
function description(raw) {
  const { flags, attributes, acl, ...rest } = raw;

  return {
    ...rest,
    backing: word(BACKINGS, raw.backing),
    lifetime: word(LIFETIMES, raw.lifetime),
    durability: word(DURABILITIES, raw.durability),
    hugePages: word(HUGE_PAGES, flags & (16 | 32)),
    rights: wordList(RIGHTS, raw.rights),
    remainingSeconds: raw.remainingSeconds === 0xffffffff ? undefined : raw.remainingSeconds,
    created: new Date(raw.created / 1000),
    changed: new Date(raw.changed / 1000),
    syncBlock: (flags & FLAGS.syncBlock) !== 0,
    acl: acl === '' ? [] : acl.split(','),
    attributes: JSON.parse(attributes || '{}'),
  };
}

module.exports = {
  ...{ WRITE, MODE_DEFAULT, NEWS },
  ...{ creation, access, timeout, description, wordList, attributesText, aclText },
};
