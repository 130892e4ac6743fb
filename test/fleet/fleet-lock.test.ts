// Goal: a lock for two gates arrives through a real server, `dovegate ship` and the door, stops commands on both, and is lifted; and
// nothing but the key does either. Who forges what: whoever has the door (root stands for the user of `dovegate ship`, who is permitted
// alike) hands over lines of before, of others, and changed ones; the stream is put back from an older copy; gate and ship are killed.
// What must not happen: a lock that no line says now, a lifted one that comes back, a lift that nobody signed.
// bounds.fleetLockAskMs, bounds.fleetLockCalls, bounds.fleetLockCallMs: lines arrive in some seconds, and the door is no way to flood.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { openNats } from '../../src/adapters/nats/link.js';
import { bounds } from '../../src/bounds/bounds.js';
import { makeSignKey } from '../../src/domain/records/audit/ledger.js';
import { parseLine } from '../../src/domain/records/audit/record.js';
import { toHostSubject } from '../../src/domain/records/fleet/block.js';
import {
  type LockLine,
  linesOfMessage,
  readLockLine,
  signLockLine,
} from '../../src/domain/records/fleet/lock-line.js';
import { openNatsServer } from '../kit/nats.js';
import { openRawClient } from '../kit/raw-client.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';
import { openAdministrator } from './administrator.js';
import { openDesk, skipOf } from './fleet-lab.js';
import { type FleetGate, openFleetGate } from './gate.js';

const hosts = ['gate-1', 'gate-2'] as const;
const alice = { user: 'alice@example.org', fields: ['quota get'] };

async function statusAt({ daemon }: FleetGate): Promise<string> {
  const client = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  try {
    client.sendCommand(alice);
    return (await client.readReply()).status;
  } finally {
    client.close();
  }
}

/** Of its records of locks, without copies. */
function lockActionsOf(gate: FleetGate): readonly unknown[] {
  const lines = gate.journal().toString().split('\n');
  const records = lines.filter((each) => each.includes('"event":"lock"') && !each.includes('"carried":true'));
  return records.map((each) => parseLine(each)?.['action']);
}

/** What the door answers to a line. */
function hand(
  { daemon }: FleetGate,
  line: string,
): Promise<{ readonly status: number; readonly code: unknown }> {
  const body = JSON.stringify({ line });
  const options = { socketPath: daemon.path('ship.sock'), path: '/lock', method: 'POST', agent: false };
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Length': Buffer.byteLength(body) };
    const asked = request({ ...options, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, code: parseLine(text)?.['code'] }),
      );
    });
    asked.on('error', reject).end(body);
  });
}

/** Also where the door has answered too often a moment ago. */
async function handOver(gate: FleetGate, line: string): Promise<number> {
  let answer = { status: 0 };
  await until(async () => {
    answer = await hand(gate, line);
    return answer.status !== 429;
  }, 'the door takes calls again');
  return answer.status;
}

void test('a lock for all gates', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: hosts });
  if (skipOf(t, nats)) return;
  const administrator = await openAdministrator(t, nats);
  await administrator.createStreams();
  const desk = openDesk(nats, { 'gate-1': {}, 'gate-2': {} });
  const keyFile = join(nats.folder, 'fleet-lock.key');
  const lock = (...args: string[]) => desk.run(...args, '--key', keyFile);
  const made = await lock('lock', '--new-key');
  assert.equal(made.exit, 0, made.text);
  assert.equal((await lock('lock', '--new-key')).exit, 78);
  const key = readFileSync(join(nats.folder, 'fleet-lock.pub'), 'utf8').trim();
  assert.ok(made.text.includes(`security: ${key}`), made.text);
  const secretPem = readFileSync(keyFile, 'utf8');

  const gates: FleetGate[] = [];
  for (const host of hosts)
    gates.push(
      await openFleetGate(t, nats, { host, settle: '1h', more: `fleet_keys: { security: "${key}" }` }),
    );
  const [one, two] = gates;
  assert.ok(one !== undefined && two !== undefined);
  const untilBoth = async (status: string): Promise<number> => {
    const beganMs = performance.now();
    for (const gate of gates)
      await until(
        async () => (await statusAt(gate)) === status,
        () => `${status}\n${gate.daemon.output().slice(-3000)}\n${gate.ship.output().slice(-3000)}`,
        60_000,
      );
    return performance.now() - beganMs;
  };
  const lastTo = async (host: string): Promise<string> => {
    const link = await openNats(nats.settingsOf('verifier'));
    const message = await link.lastOf('DOVEGATE_AUDIT', toHostSubject(host, 'lock'));
    await link.close();
    return linesOfMessage(message?.bytes ?? new Uint8Array())[0] ?? '';
  };
  const stopOf = ['user:alice@example.org', '--for', '1h', '--reason', 'case 17'];
  const locked: string[] = [];

  await t.test('it stops commands on both in some seconds, and everybody says who did it', async () => {
    await untilBoth('+');
    const sent = await lock('lock', ...stopOf);
    assert.equal(sent.exit, 0, sent.text);
    assert.match(
      sent.text,
      /sent to the stream of 2 hosts; no gate has confirmed it: one that lists this key/,
    );
    assert.match(
      sent.text,
      /^which gates have taken it: dovegate audit search --fleet \S+ --kind operator$/m,
    );
    const tookMs = await untilBoth('-NOPERM');
    t.diagnostic(`both gates refuse after ${Math.round(tookMs)} ms`);
    locked.push(await lastTo('gate-1'));
    const words = /user alice@example\.org is locked by fleet:security until \S+: case 17/;
    for (const { daemon } of gates) {
      const status = await runWarm(['status', '--socket', daemon.path('admin.sock')]);
      assert.match(status.text, /user:alice@example\.org +fleet:security /);
      const socket = daemon.path('support.sock');
      const explained = await runWarm([
        'explain',
        '--socket',
        socket,
        '--user',
        alice.user,
        '--',
        'quota',
        'get',
      ]);
      assert.equal(explained.exit, 77, explained.text);
      assert.match(explained.text, words);
      const checked = await runWarm(['check', '--verbose', '--config', daemon.configFile]);
      assert.match(
        checked.text,
        new RegExp(`^fleet key security: ${key.replace(/[+]/g, '\\+')} locks here, as gate-`, 'm'),
      );
      const unlocked = await runWarm([
        'unlock',
        alice.user,
        '--reason',
        'x',
        '--socket',
        daemon.path('admin.sock'),
      ]);
      assert.notEqual(unlocked.exit, 0);
    }
    assert.match((await lock('locks')).text, /user:alice@example\.org until .* signed for gate-1, gate-2$/m);
  });

  await t.test(
    'the verifier sees which gates have taken it, and a lost state is read from the stream',
    async () => {
      assert.notEqual((await desk.run('verify')).exit, 78);
      const search = ['audit', 'search', '--fleet', desk.config, '--kind', 'operator'];
      await until(
        async () => {
          await desk.run('verify');
          const rows = (await runWarm(search)).text
            .split('\n')
            .filter((row) => row.includes('a line of locks'));
          return hosts.every((host) => rows.some((row) => row.includes(host)));
        },
        'the records of both gates come',
        60_000,
      );
      const stateFile = keyFile.replace('.key', '.json');
      const state = readFileSync(stateFile);
      rmSync(stateFile);
      const found = await lock('locks');
      assert.equal(found.exit, 0, found.text);
      assert.match(found.stderr, /fleet-lock\.json is missing: this is what the streams say/);
      assert.match(found.text, /user:alice@example\.org until .* signed for gate-1, gate-2$/m);
      writeFileSync(stateFile, state);
    },
  );

  await t.test('gate and ship are killed: it is in force at once, and nothing is repeated', async () => {
    const [line = ''] = locked;
    await one.kill();
    await one.killShip();
    await one.start();
    assert.equal(await statusAt(one), '-NOPERM');
    assert.equal(await handOver(one, line), 200);
    assert.deepEqual(lockActionsOf(one), ['locked', 'taken']);
  });

  await t.test(
    'whoever has the door neither lifts, nor invents, nor changes a lock, nor floods',
    async () => {
      const [line = ''] = locked;
      const read = readLockLine(line);
      assert.ok(typeof read === 'object');
      const foreign = makeSignKey();
      const { number, by } = read;
      const about = { nowMs: Date.now(), hosts: ['gate-1'], locks: [] as LockLine['locks'], by, reason: 'x' };
      for (const forged of [
        signLockLine({ ...about, number: number + 1 }, foreign.secretPem),
        signLockLine({ ...about, number: number + 1, hosts: ['gate-2'] }, secretPem),
        signLockLine({ ...about, number: number - 1 }, secretPem),
        line.replace(String(number), String(number + 1)),
        line.replace('alice', 'bobby'),
        line.slice(0, -10),
        '{}',
      ])
        assert.equal(await handOver(one, forged), 400, forged);
      assert.equal(await statusAt(one), '-NOPERM');
      const answers = await Promise.all(
        Array.from({ length: 4 * bounds.fleetLockCalls }, () => hand(one, line)),
      );
      assert.ok(answers.filter(({ status }) => status === 429).length >= 2 * bounds.fleetLockCalls);
      // Nothing of it is recorded, and of the refusals one line is logged.
      assert.deepEqual(lockActionsOf(one), ['locked', 'taken']);
      assert.equal(one.daemon.logs.filter(({ event }) => event === 'fleet-lock-refused').length, 1);
    },
  );

  await t.test(
    'the same key lifts it; the line of before brings it back nowhere, nor does an older stream',
    async () => {
      await nats.stop();
      nats.copyStore('locked');
      await nats.start();
      await untilLink();
      const sent = await lock('unlock', 'user:alice@example.org', '--reason', 'closed');
      assert.equal(sent.exit, 0, sent.text);
      await untilBoth('+');
      for (const gate of gates) assert.equal(await handOver(gate, locked[0] ?? ''), 400);
      await nats.kill();
      nats.restoreStore('locked');
      await nats.start();
      for (const gate of gates) {
        // The one that runs knows that this line was taken once, and hands it over no more.
        await gate.killShip();
        const isRefused = ({ event, text }: Readonly<Record<string, unknown>>): boolean =>
          event === 'fleet-lock-failed' && String(text).includes('is older than');
        await until(
          () => gate.ship.logs.some(isRefused),
          () => gate.ship.output().slice(-3000),
          60_000,
        );
        assert.equal(await statusAt(gate), '+');
      }
      // What the signer knows is newer than that stream, and its next line is, too.
      assert.equal((await lock('lock', ...stopOf)).exit, 0);
      await untilBoth('-NOPERM');
      assert.equal((await lock('unlock', 'user:alice@example.org', '--reason', 'closed')).exit, 0);
      await untilBoth('+');
      locked.push(await lastTo('gate-1'));
    },
  );

  await t.test('a lost state, and a lost journal: no number is forgotten', async () => {
    for (const lose of ['locks.json', 'audit'] as const) {
      await two.kill();
      const state = /^state: (\S+)/m.exec(readFileSync(two.daemon.configFile, 'utf8'))?.[1] ?? 'state';
      const folder = lose === 'audit' ? two.daemon.path('audit') : two.daemon.path(join(state, lose));
      assert.ok(existsSync(folder), folder);
      rmSync(folder, { recursive: true, force: true });
      if (lose === 'audit') rmSync(two.daemon.path('shm'), { recursive: true, force: true });
      await two.start();
      assert.equal(await handOver(two, locked[0] ?? ''), 400, lose);
      assert.equal(await statusAt(two), '+', lose);
    }
  });

  await t.test('by hand, where no stream brings it; without the key in the file it is over', async () => {
    const printed = await lock('lock', ...stopOf, '--hosts', 'gate-1', '--print');
    assert.equal(printed.exit, 0, printed.text);
    const file = join(nats.folder, 'alice.lines');
    writeFileSync(file, printed.stdout);
    const give = (gate: FleetGate) =>
      runWarm(['audit', 'fleet', 'give', file, '--door', gate.daemon.path('ship.sock')]);
    const given = await give(one);
    assert.equal(given.exit, 0, given.text);
    assert.equal(await statusAt(one), '-NOPERM');
    assert.equal((await give(two)).exit, 1);
    assert.equal(await statusAt(two), '+');
    const config = readFileSync(one.daemon.configFile, 'utf8');
    writeFileSync(one.daemon.configFile, config.replace(/^fleet_keys:.*$/m, ''));
    const reloaded = await runWarm(['reload', '--socket', one.daemon.path('admin.sock')]);
    assert.equal(reloaded.exit, 0, reloaded.text);
    await until(async () => (await statusAt(one)) === '+', 'its locks end with the key', 10_000);
  });

  async function untilLink(): Promise<void> {
    await until(async () => (await lock('locks', '--send')).exit === 0, 'the server answers', 60_000);
  }
});
