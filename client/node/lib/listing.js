'use strict';

/*
 * Listing regions. The library describes one region that the caller names. Only the admin socket lists
 * them, and it speaks Varlink: JSON that ends with a NUL.
 */
const { existsSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { getSystemErrorName } = require('node:util');

const SAME = ['name', 'id', 'size', 'version', 'backing', 'lifetime', 'seconds', 'acl'];
const MORE = ['attributes', 'readers', 'writers', 'sealed', 'durability'];

/* The admin socket of the daemon with that client socket, or of the default daemon. */
function adminPath(clientPath) {
  const { SHMREG_SOCKET, SHMREG_ADMIN_SOCKET, XDG_RUNTIME_DIR = '' } = process.env;

  if (clientPath === undefined && SHMREG_ADMIN_SOCKET) return SHMREG_ADMIN_SOCKET;
  const client = clientPath ?? (SHMREG_SOCKET || undefined);

  if (client !== undefined) return path.join(path.dirname(client), 'admin.sock');
  const own = path.join(XDG_RUNTIME_DIR, 'shmregd', 'admin.sock');

  if (process.getuid() !== 0 && path.isAbsolute(own) && existsSync(own)) return own;
  return '/run/shmregd/admin.sock';
}

function failure(errno, message) {
  return Object.assign(new Error(message), { errno: -errno, code: getSystemErrorName(-errno) });
}

async function call(socketPath, method, parameters) {
  const socket = net.connect(socketPath);
  const chunks = [];

  socket.write(`${JSON.stringify({ method, parameters })}\0`);
  for await (const chunk of socket) {
    chunks.push(chunk);
    if (chunk.at(-1) === 0) break;
  }
  const reply = Buffer.concat(chunks);

  if (reply.at(-1) !== 0) throw failure(104, `${socketPath}: the daemon hung up`);
  const answer = JSON.parse(reply.toString('utf8', 0, reply.length - 1));

  if (!answer.error) return answer.parameters;
  const { errno = 71, message = answer.error } = answer.parameters ?? {};

  throw failure(errno, message);
}

function description(raw) {
  const same = Object.fromEntries([...SAME, ...MORE].map((key) => [key, raw[key]]));

  return {
    ...same,
    maxSize: raw.max_size,
    remainingSeconds: raw.remaining_seconds ?? undefined,
    mode: parseInt(raw.mode, 8),
    ownerUid: raw.owner_uid,
    ownerGid: raw.owner_gid,
    created: new Date(raw.created_usec / 1000),
    changed: new Date(raw.changed_usec / 1000),
    syncBlock: raw.sync_block,
    hugePages: raw.huge_pages ?? undefined,
    durabilitySeconds: raw.durability_seconds,
  };
}

async function listRegions(clientPath, prefix) {
  const parameters = prefix ? { prefix } : {};
  const { regions } = await call(
    adminPath(clientPath),
    'io.shmreg.Admin.ListRegions',
    parameters,
  );

  return regions.map(description);
}

module.exports = { listRegions };
