// Goal: one human has one share of everything that others need, with one uid and with as many as newuidmap gives. Phases, each with the
// same numbers for 1 uid and for many: requests for access, access without approval, sessions, rates, commands at once. What must not
// happen: a count that grows with the uids, or another team that is refused.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type GatewayOptions, openGateway } from '../../kit/gate/gateway.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { manyUidsOwner, openManyUids } from '../../kit/plain/sub-uids.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('can replace files of the host');
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const many = 40 * rounds;

const listeners = `
  support: { unix: support.sock, mode: "0660", group: "${manyUidsOwner.group}", policy: support, sessions: 200, sessions_per_peer: 5 }
  panel: { unix: panel.sock, mode: "0600", policy: panel }`;
const policy = `
    users: ["*@example.org"]
    allow: [quota get, { command: mailbox list, limit: 7/hour }]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 2h }
      - { command: mailbox status, approvals: 0, for: 1h, uses: 20 }
    requests: { open: 3, wait: 2h }
    limits: { at_once: 2 }
  panel:
    users: ["*@example.org"]
    allow: [quota get]
    approve: [support]`;
const settings = `persons: { lead: { users: ["39200"] } }
admin: { unix: admin.sock }`;

const requestOf = (command: string): string =>
  `||dovegate request|--user=bob@example.org|--reason=ticket #|--|${command}`;

async function open(t: Parameters<typeof openManyUids>[0], more: Partial<GatewayOptions> = {}) {
  const human = openManyUids(t);
  let release = (): void => undefined;
  const freed = new Promise<void>((resolve) => {
    release = resolve;
  });
  const gateway = await openGateway(t, {
    listeners,
    policy,
    more: settings,
    launcher: human.launcher,
    ...more,
    mail1: { connections: '50' },
    backend: {
      script: async ({ user }, connection) => {
        if (user === 'held@example.org') await freed;
        await connection.status('+');
      },
    },
  });
  // The folder is root's; the human reaches the socket by its group.
  chmodSync(gateway.daemon.folder, 0o711);
  return { ...gateway, human, path: gateway.daemon.path('support.sock'), release };
}

for (const uids of [1, many]) {
  test(
    `with ${uids} uids: requests, sessions, rates and commands at once of one human`,
    asRoot,
    async (t) => {
      const { human, path, daemon, backend, release } = await open(t);
      const asked = await human.connect({
        path,
        uids,
        connects: many,
        line: requestOf('fetch|hdr.subject|mailbox|#|all'),
      });
      assert.equal(asked['+'], 3, JSON.stringify(asked));
      const listed = await human.connect({
        path,
        uids,
        connects: many,
        line: '|bob@example.org|mailbox list',
      });
      assert.equal(listed['+'], 7, JSON.stringify(listed));
      const quota = '|bob@example.org|quota get';
      const kept = await human.connect({ path, uids, connects: many, stays: true, line: quota });
      assert.equal(kept['+'], 5, JSON.stringify(kept));
      const before = backend.commands.length;
      const waiting = human.connect({
        path,
        uids,
        connects: 4,
        atOnce: 4,
        line: '|held@example.org|quota get',
      });
      await until(() => backend.commands.length === before + 2, 'two commands at once');
      const other = await openRawClient({ path: daemon.path('panel.sock'), minor: 2, owner: t });
      assert.equal((await other.ask({ user: 'bob@example.org', fields: ['quota get'] })).status, '+');
      assert.equal(backend.commands.length, before + 3);
      release();
      const served = await waiting;
      assert.equal(served['+'], 4, JSON.stringify(served));
      const own = daemon.audit().find(({ record }) => record['origin'] === `uid:${manyUidsOwner.uid}`);
      assert.equal(own === undefined, uids === 1, 'a record names the origin where it is another uid');
    },
  );
}

test('access without approval is given three times a day, however many uids ask', asRoot, async (t) => {
  const { human, path } = await open(t);
  const broken = await human.connect({ path, uids: many, line: requestOf('mailbox status|messages|INBOX#') });
  assert.equal(broken['+'], bounds.accessBroken, JSON.stringify(broken));
});

for (const uids of [1, many]) {
  test(
    `with ${uids} uids: one human in a loop is refused before the journal is full, and another team goes on`,
    asRoot,
    async (t) => {
      const { human, path, daemon } = await open(t, {
        policy: policy.replace('limits: { at_once: 2 }', 'limits: { at_once: 8 }'),
        audit:
          '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 64KiB, segment: 4MiB, max_size: 512KiB }',
      });
      const other = await openRawClient({ path: daemon.path('panel.sock'), minor: 2, owner: t });
      // No two lines are alike, so that compressed segments have some size.
      const line = `|${'#'.repeat(40)}@example.org|quota get`;
      const seen = { served: 0, refused: 0 };
      const waits: number[] = [];
      for (let round = 0; round < 30 && seen.refused === 0; round += 1) {
        // The other team writes a twentieth of it, on a slow machine too: otherwise the largest writer would be that team.
        const [answered] = await Promise.all([
          human.connect({ path, uids, connects: 400, atOnce: 4, line }),
          (async () => {
            for (let asked = 0; asked < 20; asked += 1) {
              const startMs = performance.now();
              const { status } = await other.ask({ user: 'bob@example.org', fields: ['quota get'] });
              assert.equal(status, '+');
              waits.push(performance.now() - startMs);
              await pause(20);
            }
          })(),
        ]);
        const { '+': served = 0, '-TEMPFAIL': refused = 0 } = answered;
        seen.served += served;
        seen.refused += refused;
      }
      waits.sort((one, another) => one - another);
      const p99 = waits[Math.floor(waits.length * 0.99)] ?? 0;
      t.diagnostic(
        `${uids} uids: ${seen.served} served, ${seen.refused} refused; another team waits ${p99.toFixed(1)} ms (99 %)`,
      );
      assert.ok(seen.refused > 0, 'the human has a share of the journal');
    },
  );
}
