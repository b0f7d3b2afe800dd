'use strict';

/*
 * What the tests of the package for Node.js share. Run by meson with SHMREG_NODE (the package) and a
 * daemon at SHMREG_SOCKET, as root, to be several users.
 */
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { text } = require('node:stream/consumers');
const { setTimeout } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');

const shmreg = require(process.env.SHMREG_NODE);

const USER = 20001;
const TIMEOUT = 30_000;

/* How each script of a child or a worker begins. */
const PRELUDE = `
  const shmreg = require(${JSON.stringify(process.env.SHMREG_NODE)});
  const say = (what) => require('node:fs').writeSync(1, String(what) + '\\n');
  const forever = () => setInterval(() => {}, 1e9);
`;

const BECOME_USER = `process.setgroups([]); process.setgid(${USER}); process.setuid(${USER});`;

/* Another process, whose lines are awaited. */
class Child {
  constructor(program, args) {
    this.process = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.errors = text(this.process.stderr);
    this.exit = once(this.process, 'exit');
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  /* The next line that it says. */
  async line() {
    const { value, done } = await this.lines.next();

    if (done) throw new Error(`the child ended: ${await this.errors}`);
    return value;
  }

  async kill() {
    this.process.kill('SIGKILL');
    return this.ended();
  }

  /* How it ended: its exit status, or a signal. */
  async ended() {
    const [status, signal] = await this.exit;

    return signal ?? status;
  }
}

/* A daemon of a test's own, which may be killed. */
class Daemon {
  constructor() {
    this.root = mkdtempSync(path.join(os.tmpdir(), 'shmreg-node-'));
    this.socket = path.join(this.root, 'run/client.sock');
    writeFileSync(path.join(this.root, 'shmregd.json'), '{}');
    mkdirSync(path.join(this.root, 'conf.d'));
  }

  /* For the first time, or again. */
  async start() {
    const { root } = this;
    const directories = [`--runtime-directory=${root}/run`, `--state-directory=${root}/state`];

    this.child = startProgram(process.env.SHMREGD, [
      '--foreground',
      `--config=${root}/shmregd.json`,
      ...directories,
    ]);
    for (const end = Date.now() + TIMEOUT; Date.now() < end; await setTimeout(10))
      try {
        return shmreg.connect(this.socket);
      } catch (error) {
        assert.match(error.code, /ENOENT|ECONNREFUSED/);
      }
    throw new Error('the daemon does not start');
  }

  async stop() {
    this.child.process.kill();
    await this.child.ended();
    rmSync(this.root, { recursive: true });
  }
}

/* Runs this code, as another user if told so. */
function startScript(code, { user = false } = {}) {
  const script = `${PRELUDE}${user ? BECOME_USER : ''}(async () => {${code}})()`;

  return new Child(process.execPath, ['-e', script]);
}

function startProgram(program, args) {
  return new Child(program, args);
}

/* A thread that runs this code, with `port` to the parent. */
function startWorker(code) {
  return new Worker(
    `${PRELUDE} const { parentPort: port } = require('node:worker_threads'); (async () => {${code}})()`,
    { eval: true },
  );
}

/* Turns of the event loop, in which what was closed is given back, and full collections. */
async function collect() {
  for (let i = 0; i < 3; i++) {
    global.gc();
    await new Promise(setImmediate);
  }
}

module.exports = {
  ...{ shmreg, Daemon, startScript, startProgram, startWorker, collect },
  ...{ USER, TIMEOUT },
};
