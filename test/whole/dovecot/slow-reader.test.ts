// Goal: a client that reads alice's mail slowly keeps nobody from ending her sessions. Phases, for each release asked for: a client that
// does not read holds a long reply for alice on one backend; another client asks a second backend to kick her.
// What must not happen: a kick that waits until the slow client has read, or is ended.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { alice, backendPassword, onDovecot, openRealDovecot } from './real-gateway.js';

/** One Dovecot under two names: mail of its users by the one, ends of their sessions by the other. */
const configuration = ({ port }: Lab): string => {
  const backend = `{ address: "localhost:${port}", tls: starttls, ca: ca.pem, password_file: password, shared_namespaces: [], idle: 0 }`;
  return `version: 1
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
backends:
  mails: ${backend}
  sessions: ${backend}
routes: [{ users: ["*"], backend: mails }]
server_commands: { kick: sessions }
policies:
  support:
    users: ["*@example.org"]
    allow: [kick, { command: fetch, content: true }]
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
admin: { unix: admin.sock }
`;
};

onDovecot('a kick does not wait for a slow reader', openRealDovecot, async (t, lab) => {
  const daemon = await startDaemon(t, {
    folder: mkdtempSync(join(lab.folder, 'gate-')),
    config: configuration(lab),
    files: { 'ca.pem': readFileSync(lab.caFile, 'utf8'), password: `${backendPassword}\n` },
  });
  const open = async (): Promise<RawClient> => {
    const client = await openRawClient({
      path: daemon.path('support.sock'),
      minor: 2,
      timeoutMs: 60_000,
      owner: t,
    });
    return client;
  };
  const slow = await open();
  slow.setStopped(true);
  slow.sendCommand({ user: alice, fields: ['fetch', 'text', 'mailbox', 'Big'] });
  await leasedAt(daemon, 'mails');

  const operator = await open();
  const startMs = performance.now();
  const { status, logs } = await operator.ask({ user: '', fields: ['kick', alice] });
  t.diagnostic(`answered ${status} after ${Math.round(performance.now() - startMs)} ms`);
  // Nobody is logged in: Dovecot has been asked, and says so.
  assert.ok(status === '+' || status === '-NOTFOUND', `${status} ${JSON.stringify(logs)}`);
  await leasedAt(daemon, 'mails');
});

/** Until an exchange holds an upstream of the backend. */
async function leasedAt(daemon: Daemon, backend: string): Promise<void> {
  for (;;) {
    const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
    if (body.includes(`dovegate_upstreams{backend="${backend}",state="leased"} 1`)) return;
    await pause(20);
  }
}
