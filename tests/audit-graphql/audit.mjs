// Starts the server that is named as the first argument, on an empty directory, and asks it every question of the
// GraphQL-over-HTTP audit. Ends with 1 unless each answer is as the specification has it, notices and warnings too.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverAudits } from 'graphql-http';

const program = process.argv[2] ?? '../../bin/rollcall';
const directory = await mkdtemp(join(tmpdir(), 'rollcall-audit-'));
const address = `127.0.0.1:${await freePort()}`;
const server = spawn(program, ['serve', '--data', directory, '--listen', address, '--plain-http'], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
const ended = once(server, 'exit');
try {
  await ready();
  process.exitCode = (await audit()) ? 0 : 1;
} finally {
  server.kill('SIGTERM');
  await ended;
  await rm(directory, { recursive: true });
}

async function audit() {
  const token = (await readFile(join(directory, 'admin-token'), 'utf8')).trim();
  const ask = (url, init = {}) =>
    fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), authorization: `Bearer ${token}` } });
  const audits = serverAudits({ url: `http://${address}/graphql`, fetchFn: ask });
  let good = 0;
  for (const one of audits) {
    const result = await one.fn();
    if (result.status === 'ok') good++;
    else console.log(`${result.status} ${one.id} ${one.name}: ${result.reason}`);
  }
  console.log(`${good} of ${audits.length} answers are as GraphQL over HTTP wants them`);
  return good === audits.length && audits.length > 0;
}

async function ready() {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await new Promise((next) => setTimeout(next, 50))) {
    if (server.exitCode !== null) break;
    const answer = await fetch(`http://${address}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
  }
  throw new Error('the server was never ready');
}

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  await new Promise((closed) => listener.close(closed));
  return port;
}
