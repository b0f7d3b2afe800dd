'use strict';

/* What `npm install` does with the package: a copy of its folder, built and loaded with nothing else. */
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { cpSync, mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { SHMREG_SOURCE } = process.env;

test('npm builds and installs the package into a project', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'shmreg-npm-'));
  const project = path.join(folder, 'project');
  const npm = ['install', '--offline', '--no-audit', '--no-fund', '--install-links', '../shmreg'];

  try {
    cpSync(path.join(SHMREG_SOURCE, 'client/node'), path.join(folder, 'shmreg'), {
      recursive: true,
      filter: (name) => !name.endsWith('.node'),
    });
    cpSync(path.join(SHMREG_SOURCE, 'client/examples/print-prices.js'), path.join(project, 'x.js'));
    execFileSync('npm', [...npm, '--foreground-scripts', '--cache', path.join(folder, 'cache')], {
      cwd: project,
      env: {
        ...process.env,
        NODE_PATH: '',
        CFLAGS: '-O0',
        SHMREG_INCLUDE: path.join(SHMREG_SOURCE, 'client'),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const script = `
      const conn = require('shmreg').connect();
      conn.put('npm/region', 'installed');
      console.log(require.resolve('shmreg'), conn.open('npm/region').bytes.toString());
    `;
    const options = { cwd: project, encoding: 'utf8', env: { ...process.env, NODE_PATH: '' } };

    assert.equal(
      execFileSync(process.execPath, ['-e', script], options),
      `${project}/node_modules/shmreg/lib/index.js installed\n`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
