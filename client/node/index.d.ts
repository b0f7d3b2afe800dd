/**
 * shmreg: named shared memory with an owner, from Node.js
 *
 * A thin layer over libshmreg; libshmreg(3) and shmreg.h say more about every call.
 *
 * Errors of the library are an `Error` with `code` (`'ENOENT'`), `errno` (negative, as everywhere in
 * Node.js) and the sentence that says which name, which limit, which right. Requests take one round
 * trip to a process on the same machine, and the calling thread waits for it; what may sleep for
 * longer gives a promise.
 *
 * Memory is never copied: `buffer`, `bytes`, `array()` and `window()` are the region. They stay good
 * for as long as they are reachable, whatever happens to the region or to the daemon, except that
 * `close()` and `dropOld()` detach them: their length becomes 0. What is only garbage-collected, a
 * region or a connection, leaves its arrays alone, and is closed with the last of them.
 *
 * Every thread of worker_threads makes connections of its own, and they share the regions' memory.
 */
/// <reference types="node" />
import { EventEmitter } from 'node:events';

export type Backing = 'shm' | 'memfd' | 'file';
export type Lifetime = 'persistent' | 'attached' | 'owner' | 'lease' | 'cache';
export type Durability = 'none' | 'interval' | 'publish';
export type Right = 'read' | 'write' | 'manage';
export type News = 'published' | 'resized' | 'sealed' | 'destroyed';
export type DType =
  | 'bool'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float32'
  | 'float64';
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** An array in a region; see docs/attributes.md. Without a dtype it is bytes, without a shape all. */
export interface ArrayDescription {
  dtype?: DType | string;
  shape?: number[];
}

export interface Attributes extends ArrayDescription {
  media_type?: string;
  order?: 'C' | 'F';
  [key: string]: unknown;
}

/** How a region is mapped: see SHMREG_POPULATE and its like in shmreg.h. */
export interface MapOptions {
  populate?: boolean;
  huge?: boolean;
  sequential?: boolean;
  random?: boolean;
  willNeed?: boolean;
  lockMemory?: boolean;
  noDump?: boolean;
  noFork?: boolean;
}

export interface OpenOptions extends MapOptions {
  /** For reading and writing. */
  write?: boolean;
  /**
   * Only for readers, and true unless it is said otherwise: a stray write stays in this process, in a
   * copy of the page that was written to, which from then on does not show what others write. With
   * `false` nothing is ever copied, and a write kills the process with SIGSEGV: JavaScript knows no
   * ArrayBuffer that is read-only.
   */
  private?: boolean;
}

export interface CreateOptions extends MapOptions {
  backing?: Backing;
  /** 'persistent' by default; 'owner' ends with this process, 'cache' when space is wanted. */
  lifetime?: Lifetime;
  /** The linger of 'attached', the duration of 'lease'. */
  seconds?: number;
  /** r and w for owner, group, others: 0o600 by default. */
  mode?: number;
  /** Further rules, like 'user:alice:rw'. */
  acl?: string | string[];
  attributes?: Attributes | string;
  /** What the region may grow to, in bytes. */
  maxSize?: number;
  hugePages?: '2M' | '1G';
  /** With a lock, a sequence and an event. */
  syncBlock?: boolean;
  /** Take what exists already as it is. */
  existingOk?: boolean;
  durability?: Durability;
  durabilitySeconds?: number;
}

/** Milliseconds. */
export interface Timeout {
  timeout?: number;
}

export interface Description {
  name: string;
  id: number;
  size: number;
  maxSize: number;
  version: number;
  backing: Backing | 'adopted';
  lifetime: Lifetime;
  seconds: number;
  /** Until the lease or linger ends; undefined when none is running. */
  remainingSeconds?: number;
  mode: number;
  acl: string[];
  attributes: Attributes;
  ownerUid: number;
  ownerGid: number;
  /** The caller's. */
  rights: Right[];
  readers: number;
  writers: number;
  created: Date;
  changed: Date;
  sealed: boolean;
  syncBlock: boolean;
  hugePages?: '2M' | '1G';
  durability: Durability;
  durabilitySeconds: number;
}

/** As list() has it: without the caller's rights. */
export type ListedRegion = Omit<Description, 'rights'>;

/** Connects to a daemon: at this path, at $SHMREG_SOCKET, or at the default. */
export function connect(path?: string): Connection;

/**
 * One connection. It does not keep the process alive, except while somebody waits for one of its
 * regions or listens for 'news', and it is not unref()ed.
 */
export class Connection extends EventEmitter {
  private constructor();
  readonly closed: boolean;

  /** Creates a region of zeroes, and maps it for reading and writing. */
  create(name: string, size: number, options?: CreateOptions): Region;
  /** Makes a region of memory that this process has a descriptor to; the descriptor stays its own. */
  adopt(name: string, fd: number, options?: CreateOptions): Region;
  open(name: string, options?: OpenOptions): Region;
  /** Up to 64 regions in one round trip: all of them, or none. */
  openMany(names: string[], options?: OpenOptions): Region[];
  /** Memory that nobody else sees until it is published under this name. */
  stage(name: string, size: number, options?: CreateOptions): Region;

  /** Makes this (up to 60 KiB) the whole content of a region, which is created if it is missing. */
  put(
    name: string,
    data: string | ArrayBufferView | ArrayBuffer,
    options?: { mode?: number },
  ): void;
  /** A copy of the content (up to 60 KiB) of a region. */
  get(name: string): Buffer;
  /**
   * Publishes an array with the attributes that describe it, and returns the version it has become.
   * The array is copied once.
   */
  putArray(
    name: string,
    array: TypedArray,
    options?: CreateOptions & { shape?: number[]; expect?: number },
  ): number;

  /** The name is free at once; who has it mapped keeps it. */
  destroy(name: string): void;
  /** Grows a region in place, up to its maxSize. Who holds it sees it by refresh(). */
  resize(name: string, size: number): void;
  /** Nobody writes to the present version any more. */
  seal(name: string): void;
  /** Lets a lease run for so long from now on; without seconds, for its duration. */
  renew(name: string, seconds?: number): void;
  describe(name: string): Description;
  /** The regions that the caller has any right to, by name; with a prefix, those below it. */
  list(prefix?: string): Promise<ListedRegion[]>;
  setAttributes(name: string, attributes: Attributes | string): void;
  setAccess(name: string, access: { mode?: number; acl?: string | string[] }): void;
  /** A new region with the present content of another. This connection stays free meanwhile. */
  snapshot(source: string, name: string, options?: CreateOptions): Promise<void>;

  ref(): this;
  unref(): this;
  /** Closes all regions of this connection, too. */
  close(): void;
  [Symbol.dispose](): void;

  /** What happened to a region that is open through this connection, this program's own doing, too. */
  on(event: 'news', listener: (region: Region, what: News[]) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once(event: 'news', listener: (region: Region, what: News[]) => void): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** A handle to a region that is mapped. */
export class Region {
  private constructor();
  readonly connection: Connection;
  readonly name: string;
  readonly writable: boolean;
  readonly closed: boolean;
  readonly size: number;
  /** The version that is mapped; 0 for a stage. */
  readonly version: number;
  /** Whether it is still what it was when it was opened or last refreshed. Asks nobody. */
  readonly isCurrent: boolean;
  /** The descriptor behind the mapping; do not close it. */
  readonly fd: number;
  /** As they were when first asked for after the open or the last refresh. */
  readonly attributes: Attributes;

  /** All of the region, without a copy. */
  readonly buffer: ArrayBuffer;
  /** The same as a Buffer. */
  readonly bytes: Buffer;
  /** The array that the attributes describe, or the one described here, without a copy. */
  array<T extends TypedArray = TypedArray>(description?: ArrayDescription): T;
  /** Copies into the region; for who wants no array of it, which would keep the memory a while. */
  write(data: string | ArrayBufferView | ArrayBuffer, offset?: number): void;
  /** A part of the region, for those that are larger than an ArrayBuffer may be. */
  window(offset: number, length: number): ArrayBuffer;

  /**
   * Until the region is not current any more: at once, if it is not. Does not block the event loop.
   * Rejects with ETIMEDOUT after `timeout`, and with ECANCELED when the region is closed.
   */
  wait(options?: Timeout): Promise<void>;
  /**
   * Moves this handle to what its name leads to now; true if that is another version. Arrays of the
   * old one stay whole, until dropOld(), close(), or until all of them are collected.
   */
  refresh(): boolean;
  /** Detaches the arrays of older versions, and gives their memory back. */
  dropOld(): void;

  /**
   * Makes a stage the region's current version, and returns its number.
   * @param options expect: the version that it may replace, else ESTALE
   */
  publish(options?: { expect?: number }): number;
  /** Puts a range of a file region on disk. */
  flush(offset?: number, length?: number): void;
  describe(): Description;

  /** Locks the region (it needs a sync block), for this thread. Blocks it for `timeout`: 0 by default. */
  lock(options?: Timeout): Lock;
  /** The same without blocking, for whoever awaits it: on one thread, too, there is one such lock. */
  lockAsync(options?: Timeout): Promise<Lock>;
  /**
   * Calls `reader` until it has seen the region whole, by the sequence of the sync block, and returns
   * what it returned. It may see any mixture before that: it should copy, and do nothing else.
   */
  read<T>(reader: (region: this) => T, options?: Timeout): T;
  /** Wakes who waits for the event of the sync block. */
  notify(): void;
  /** Until the event is another than `last`; resolves to what it is then. */
  waitEvent(last?: number, options?: Timeout): Promise<number>;
  /** Locks a range of bytes against other mappings, or throws EAGAIN. A length of 0 is all the rest. */
  lockRange(offset?: number, length?: number, options?: { exclusive?: boolean }): void;
  unlockRange(offset?: number, length?: number): void;

  /**
   * Gives back locks, detaches all ArrayBuffers, and unmaps: at once, or if ArrayBuffers were made of
   * it, in the next turn of the event loop. Closing twice is allowed.
   */
  close(): void;
  [Symbol.dispose](): void;
}

/** The lock of a region: given back by unlock(), or when its region is closed or collected. */
export class Lock {
  private constructor();
  readonly held: boolean;
  /** The last owner died with it: make the data whole, then call recovered(). */
  readonly ownerDied: boolean;
  recovered(): void;
  /** Around changes, for those who read by the sequence. */
  writeBegin(): void;
  writeEnd(): void;
  /** A second time does nothing. */
  unlock(): void;
  [Symbol.dispose](): void;
}
