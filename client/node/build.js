'use strict';

/*
 * What `npm install` runs: builds the addon with the C compiler, against an installed libshmreg and
 * the headers of the Node.js that runs this. That is one command, which node-gyp would need Python,
 * make and a download of headers for.
 *
 * CC, CFLAGS and PKG_CONFIG_PATH are obeyed; with SHMREG_INCLUDE and SHMREG_LIB (the folders of
 * shmreg.h and libshmreg.so) pkg-config is not asked.
 */
const { execFileSync } = require('node:child_process');
const { existsSync, readdirSync } = require('node:fs');
const path = require('node:path');

const HEADERS = ['../../include/node', '../../include/nodejs/src'];

function words(text) {
  return text.split(/\s+/).filter(Boolean);
}

function headers() {
  const folders = HEADERS.map((folder) => path.resolve(process.execPath, folder));
  const found = folders.find((folder) => existsSync(path.join(folder, 'node_api.h')));

  if (!found)
    throw new Error(`no node_api.h in ${folders.join(' or ')}: on Debian, install libnode-dev`);
  return found;
}

function library() {
  const { SHMREG_INCLUDE: include, SHMREG_LIB: lib } = process.env;

  if (include && lib) return [`-I${include}`, `-L${lib}`, `-Wl,-rpath,${lib}`, '-lshmreg'];
  return words(execFileSync('pkg-config', ['--cflags', '--libs', 'shmreg'], { encoding: 'utf8' }));
}

function build() {
  const sources = readdirSync(path.join(__dirname, 'src')).filter((name) => name.endsWith('.c'));

  execFileSync(
    process.env.CC || 'cc',
    [
      ...['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-g', '-fPIC', '-shared', '-pthread'],
      ...words(process.env.CFLAGS || ''),
      ...['-isystem', headers(), '-o', path.join(__dirname, 'shmreg.node')],
      ...sources.map((name) => path.join(__dirname, 'src', name)),
      ...library(),
    ],
    { stdio: 'inherit' },
  );
}

build();
