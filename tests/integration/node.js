'use strict';

/*
 * What the tests of the package for Node.js share. Run by meson with SHMREG_NODE (the package) and a
 * daemon at SHMREG_SOCKET, as root, to be several users.
 */
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createInterface } = require('node:readline');
const { text } = require('node:stream/consumers');
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

module.exports = { shmreg, startScript, startProgram, startWorker, collect, USER, TIMEOUT };
