// Goal: our questions to a real auth service, from the socket that README has people set up, as an unprivileged user.
// Phases: users, aliases, routes; who may ask what on which listener; an entry that kills the service, and a service that was killed.
// What must not happen: an alias that is not seen, a permission that is taken for "not found", an innocent question that is lost.

import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import {
  Lookup,
  type LookupAnswer,
  type LookupLimits,
  lookupLimits,
} from '../../../src/gate/lookup/lookup.js';
import { createUserResolver } from '../../../src/gate/lookup/resolve-user.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { createConnect } from '../../../src/host/net/dial.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import type { Connect } from '../../../src/host/ports/transport.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { alice, onDovecot, openBareDovecot } from './real-gateway.js';

const nobody = 65_534;
const stranger = 65_533;
const victim = 'victim@example.org';
const boss = 'boss@example.org';
const hopPassword = 'Otter3+Quarry/violet6';

const listeners = `service auth {
  unix_listener dovegate-userdb {
    mode = 0600
    user = nobody
  }
  unix_listener open-userdb {
    mode = 0666
  }
  unix_listener auth-dovegate {
    mode = 0666
  }
}
`;

/** `chief` means boss, who means victim; asking for the route of `poison` kills the service, in every release. */
const entries = `${boss}:{plain}pw::::::userdb_user=victim@example.org
chief@example.org:{plain}pw::::::userdb_user=boss@example.org
nodomain@example.org:{plain}pw::::::userdb_user=Alice
hop@example.org:{plain}pw::::::proxy=y host=192.0.2.9 port=24245 destuser=real@example.org pass=${hopPassword}
poison@example.org:{plain}pw::::::proxy=y host=
`;

/** Connects as that user; the kernel tells the other end who connected, at that moment. */
function connectAs(uid: number): Connect {
  const connect = createConnect(systemClock);
  return (address, signal) => {
    process.setegid?.(uid);
    process.seteuid?.(uid);
    try {
      return connect(address, signal);
    } finally {
      process.seteuid?.(0);
      process.setegid?.(0);
    }
  };
}

/** Its timers keep the process alive: between two dials nothing else does. */
const clock: Clock = {
  ...systemClock,
  setTimer(ms, run) {
    const timer = setTimeout(run, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

interface Asking {
  readonly lookup: Lookup;
  /** Dials so far. */
  readonly dials: () => number;
}

function ask(
  owner: Owner,
  lab: Lab,
  socket: string,
  uid: number,
  changes: Partial<LookupLimits> = {},
): Asking {
  const connect = connectAs(uid);
  let dials = 0;
  const lookup = new Lookup({
    address: { kind: 'unix', path: join(lab.folder, 'run', socket) },
    connect(address, signal) {
      dials += 1;
      return connect(address, signal);
    },
    clock,
    limits: { ...lookupLimits, lingerMs: 100, ...changes },
    tell: () => undefined,
  });
  owner.after(() => lookup.close());
  return { lookup, dials: () => dials };
}

const found = (user: string, fields: Record<string, string> = {}): LookupAnswer => ({
  kind: 'found',
  user,
  fields: new Map(Object.entries(fields)),
});
const isMissing = { kind: 'not-found' };
const isFailed = { kind: 'failed', code: 'auth-failed' };

onDovecot('the auth service', openBareDovecot, async (t, lab) => {
  appendFileSync(join(lab.folder, 'passwd'), entries);
  await lab.writeExtraConf(listeners);

  await t.test('who a user is, and where he is served, asked by nobody', async (step) => {
    const { lookup, dials } = ask(step, lab, 'dovegate-userdb', nobody);
    assert.deepEqual(await lookup.user(alice), found(alice));
    assert.deepEqual(await lookup.user('ALICE@Example.ORG'), found(alice));
    assert.deepEqual(await lookup.user(boss), found(victim));
    assert.deepEqual(await lookup.user('chief@example.org'), found(boss)); // one step
    assert.deepEqual(await lookup.user('nouser@example.org'), isMissing);
    assert.deepEqual(await lookup.user('alice+tag@example.org'), isMissing);
    assert.deepEqual(await lookup.pass('nouser@example.org'), isMissing);
    assert.deepEqual(await lookup.pass(alice), found(alice));
    const hop = await lookup.pass('hop@example.org');
    const route = { host: '192.0.2.9', port: '24245', destuser: 'real@example.org' };
    assert.ok(hop.kind === 'found');
    assert.ok(['', 'y'].includes(hop.fields.get('proxy') ?? 'none'));
    assert.deepEqual(hop, found('hop@example.org', { proxy: hop.fields.get('proxy') ?? '', ...route }));
    assert.ok(!inspect([hop, lookup], { depth: 9, showHidden: true }).includes(hopPassword));
    const moved = await lookup.pass('moved@example.org');
    assert.ok(moved.kind === 'found' && moved.fields.has('nologin'));
    assert.equal(moved.fields.get('host'), '192.0.2.7');

    const many = Array.from({ length: 200 }, (_, at) => (at % 2 === 0 ? `u${at}@example.org` : alice));
    const answers = await Promise.all(many.map((user) => lookup.user(user)));
    assert.deepEqual(
      answers,
      many.map((user) => (user === alice ? found(alice) : isMissing)),
    );
    assert.equal(dials(), 1);
  });

  await t.test('every name that a command may touch', async (step) => {
    const { lookup } = ask(step, lab, 'dovegate-userdb', nobody);
    const names = createUserNames({ characters: defaultCharacters, defaultRealm: 'example.org' });
    const resolver = createUserResolver(lookup, names);
    const aliases = async (...users: string[]) => {
      const result = await resolver.resolve(users);
      return result.kind === 'resolved' ? result.aliases : result.code;
    };
    assert.deepEqual(await aliases(alice, 'nouser@example.org'), []);
    assert.deepEqual(await aliases(boss), [victim]);
    assert.deepEqual(await aliases('chief@example.org'), [boss, victim]);
    assert.deepEqual(await aliases('nodomain@example.org'), [alice]);
  });

  await t.test('who may not ask is told so, and is not told that there is no such user', async (step) => {
    const open = ask(step, lab, 'open-userdb', nobody).lookup; // 0666 is the mode that restricts
    assert.deepEqual(await open.pass(alice), isFailed);
    assert.deepEqual(await open.user(alice), isFailed);
    const root = ask(step, lab, 'open-userdb', 0).lookup;
    assert.deepEqual(await root.pass(alice), found(alice));
    const outside = ask(step, lab, 'dovegate-userdb', stranger).lookup;
    assert.deepEqual(await outside.user(alice), { kind: 'failed', code: 'dial-refused' });
  });

  await t.test('a listener of the wrong type is found out', async (step) => {
    const { lookup } = ask(step, lab, 'auth-dovegate', nobody);
    assert.deepEqual(await lookup.user(alice), { kind: 'failed', code: 'wrong-socket' });
    const doveadm = ask(step, lab, 'doveadm-auth', nobody, { greetingTimeoutMs: 1_000 }).lookup;
    const other = await doveadm.user(alice);
    assert.ok(other.kind === 'failed' && other.code !== 'auth-failed', inspect(other));
  });

  await t.test('an entry that kills the service takes nobody along', async (step) => {
    const { lookup } = ask(step, lab, 'dovegate-userdb', nobody, { questionTimeoutMs: 60_000 });
    assert.deepEqual(await lookup.pass(alice), found(alice));
    const answers = await Promise.all([
      lookup.pass('bob@example.org'),
      lookup.pass('poison@example.org'),
      lookup.user(boss),
      lookup.user('nouser@example.org'),
    ]);
    assert.deepEqual(answers, [
      found('bob@example.org'),
      { kind: 'failed', code: 'closed-early' },
      found(victim),
      isMissing,
    ]);
    assert.deepEqual(await lookup.pass('poison@example.org'), { kind: 'failed', code: 'closed-early' });
    assert.deepEqual(await lookup.user('small@example.org'), found('small@example.org'));
  });

  await t.test('a service that was killed is found again', async (step) => {
    const { lookup, dials } = ask(step, lab, 'dovegate-userdb', nobody, { foundTtlMs: 0 });
    assert.deepEqual(await lookup.user(alice), found(alice));
    const status = await lab.doveadm(['-f', 'tab', 'process', 'status', 'auth']);
    const pids = status.stdout
      .toString()
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => Number(row.split('\t')[1]));
    assert.ok(pids.length > 0 && pids.every((pid) => pid > 1), status.text);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    assert.deepEqual(await lookup.user(alice), found(alice));
    assert.equal(dials(), 2);
  });
});
