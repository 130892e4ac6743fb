// Goal: `join` gives the daemon what it needs to send, and its configuration one line; where that cannot work, the configuration is as it
// was. What must not happen: a key that the daemon cannot read or others can, anything but a public key on stdout.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFleetAuthority } from '../../../src/evidence/fleet-cli/fleet-authority.js';
import { formatJoinFile, type JoinFile } from '../../../src/evidence/fleet-cli/join-file.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { loadConfiguration } from '../../../src/rules/setup/configuration.js';
import { inspectBeside } from '../../../src/rules/setup/inspect-beside.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { makeTestTrust } from '../../kit/gate/nats-trust.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';

const authority = makeFleetAuthority(Date.now());
const credentialsOf = (name: string): string =>
  makeTestTrust(new Map([[name, [`dovegate.audit.${name}.*`]]])).credentials.get(name) ?? '';

const given: JoinFile = {
  host: 'mail-gate-1',
  // Nobody listens there: no daemon runs here either.
  servers: 'tls://127.0.0.1:9',
  stream: 'DOVEGATE_AUDIT',
  authority: authority.certificate,
  credentials: credentialsOf('mail-gate-1'),
  verifiers: {},
};

const seedIn = (text: string): string => /^SU\w+$/m.exec(text)?.[0] ?? '';

const base = `# A comment that stays.
version: 1
listeners: { support: { unix: support.sock, mode: "0600", policy: support } }
backends: { mail1: { address: "unix:nobody.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*"], allow: [quota get] } }
state: state
admin: { unix: admin.sock }
audit: { directory: audit, memory: off, reserve: 4KiB }
`;

const line =
  '# The journal goes to a stream too: written by "dovegate audit fleet join".\ninclude: [ship/ship.yaml]\n';

test('a gate joins, and joins again with new credentials', async (t) => {
  const folder = openFolder(t);
  const at = (...names: string[]): string => join(folder, ...names);
  const config = at('dovegate.yaml');
  const write = (text: string): void => writeFileSync(config, text, { mode: 0o640 });
  const file = at('gate.join');
  const joinBy = (text: string) => {
    writeFileSync(file, text, { mode: 0o600 });
    return runWarm(['audit', 'fleet', 'join', file, '--config', config]);
  };
  write(base);
  mkdirSync(at('audit'), { mode: 0o700 });
  const isRoot = process.getuid?.() === 0;
  chmodSync(folder, 0o755);
  mkdirSync(at('state'), { mode: 0o700 });
  // The journal of root is a mistake that doctor names.
  if (isRoot) chownSync(at('state'), 60_002, 60_002);

  const early = await joinBy(formatJoinFile(given));
  assert.equal(early.exit, 1, early.text);
  assert.equal(early.stdout.length, 0, 'there is no key yet');
  assert.match(early.stderr, /no daemon answers/);
  assert.match(early.stderr, /there is no \S+key\.pub yet: start the daemon/);
  assert.equal(readFileSync(config, 'utf8'), base.replace('version: 1\n', `version: 1\n${line}`));
  assert.equal(statSync(config).mode & 0o777, 0o640);
  const key = statSync(at('ship/gate.creds'));
  assert.equal(key.mode & 0o777, 0o600);
  if (isRoot) assert.equal(key.uid, 60_002, 'it is the key of the daemon');
  const checked = await runWarm(['check', '--config', config]);
  assert.equal(checked.exit, 0, checked.text);
  assert.match(readFileSync(at('ship/ship.yaml'), 'utf8'), /nats: "tls:\/\/127\.0\.0\.1:9"\n/);

  const publicKey = `${'A'.repeat(43)}=`;
  writeFileSync(at('audit/key.pub'), `${publicKey}\n`);
  const text = readFileSync(config, 'utf8');
  const renewed = { ...given, credentials: credentialsOf('mail-gate-1') };
  const again = await joinBy(formatJoinFile(renewed));
  assert.equal(again.exit, 69, again.text);
  assert.equal(again.stdout.toString(), `${publicKey}\n`);
  assert.equal(readFileSync(config, 'utf8'), text);
  assert.equal(readFileSync(at('ship/gate.creds'), 'utf8'), renewed.credentials);

  // With the key of the verifier, as a fleet has it that runs.
  const verifier = makeSignKey().key;
  const known = { ...renewed, verifiers: { verifier: `${verifier}\n` } };
  const settingsNow = () => {
    const { settings, problems } = loadConfiguration(config, { beside: inspectBeside });
    return settings ?? assert.fail(problems.join('\n'));
  };
  assert.equal((await joinBy(formatJoinFile(known))).exit, 69);
  assert.equal(readFileSync(at('ship/verifier.pub'), 'utf8'), `${verifier}\n`);
  assert.deepEqual(
    settingsNow().audit.ship.map((sink) => sink.kind === 'nats' && sink.verifiers),
    [[at('ship/verifier.pub')]],
  );
});

test('a file of another gate, or of another fleet, changes nothing unless it is asked for', async (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(config, base, { mode: 0o600 });
  const joinBy = (file: JoinFile, ...more: string[]) => {
    writeFileSync(join(folder, 'gate.join'), formatJoinFile(file), { mode: 0o600 });
    return runWarm(['audit', 'fleet', 'join', join(folder, 'gate.join'), '--config', config, ...more]);
  };
  const receivers = () => {
    const { settings, problems } = loadConfiguration(config, { beside: inspectBeside });
    return (settings ?? assert.fail(problems.join('\n'))).audit.ship.flatMap((sink) =>
      sink.kind === 'nats' ? [{ ...sink, content: readFileSync(sink.credentialsFile ?? '', 'utf8') }] : [],
    );
  };
  const seen = () =>
    receivers().map(({ hostWord, servers: [first], content, caFile = '' }) => {
      return [hostWord, first?.port, content, readFileSync(caFile, 'utf8')];
    });
  const rowOf = (file: JoinFile, port: number) => [file.host, port, file.credentials, file.authority];
  await joinBy(given);
  const before = [rowOf(given, 9)];
  assert.deepEqual(seen(), before);

  const two: JoinFile = { ...given, host: 'mail-gate-2', credentials: credentialsOf('mail-gate-2') };
  for (const more of [[], ['--beside']]) {
    const refused = await joinBy(two, ...more);
    assert.equal(refused.exit, 78, refused.text);
    assert.match(
      refused.stderr,
      /has joined as "mail-gate-1", and the file is that of "mail-gate-2": .*--instead/,
    );
    assert.deepEqual(seen(), before);
  }
  const south: JoinFile = {
    ...given,
    servers: 'tls://127.0.0.1:8',
    authority: makeFleetAuthority(Date.now()).certificate,
    credentials: credentialsOf('mail-gate-1'),
    verifiers: { verifier: `${makeSignKey().key}\n` },
  };
  const refused = await joinBy(south);
  assert.equal(refused.exit, 78, refused.text);
  assert.match(
    refused.stderr,
    /sends to tls:\/\/127\.0\.0\.1:9, and the file is of another fleet, .*--beside/,
  );
  assert.deepEqual(seen(), before);

  // The host moves: both, each with its own files; either gets new credentials; then the new one alone.
  await joinBy(south, '--beside');
  assert.deepEqual(seen(), [rowOf(given, 9), rowOf(south, 8)]);
  const renewed = { ...given, credentials: credentialsOf('mail-gate-1') };
  await joinBy(renewed);
  assert.deepEqual(seen(), [rowOf(south, 8), rowOf(renewed, 9)]);
  assert.equal(
    receivers().flatMap(({ verifiers }) => verifiers).length,
    1,
    'the verifier of the other stays',
  );
  const third = {
    ...south,
    servers: 'tls://127.0.0.1:7',
    authority: makeFleetAuthority(Date.now()).certificate,
  };
  assert.match((await joinBy(third, '--beside')).stderr, /two fleets already/);
  await joinBy(south, '--instead');
  assert.deepEqual(seen(), [rowOf(south, 8)]);
  assert.ok(!existsSync(join(folder, 'ship/beside')));
  await joinBy(two, '--instead');
  assert.deepEqual(seen(), [rowOf(two, 9)]);

  // All keys of the fleet are new, or its server has another name: it is the same fleet.
  const keys = { ...two, authority: makeFleetAuthority(Date.now()).certificate };
  await joinBy(keys);
  assert.deepEqual(seen(), [rowOf(keys, 9)]);
  await joinBy({ ...keys, servers: 'tls://127.0.0.1:6' });
  assert.deepEqual(seen(), [rowOf(keys, 6)]);
});

test('what is not for this gate, or does not fit its configuration', async (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'dovegate.yaml');
  const file = join(folder, 'gate.join');
  const joinBy = (text: string) => {
    writeFileSync(file, text, { mode: 0o600 });
    return runWarm(['audit', 'fleet', 'join', file, '--config', config]);
  };
  const rows: readonly (readonly [string, string, string, number, RegExp])[] = [
    ['no such file', base, '{}', 64, /is not a file for "fleet join"/],
    [
      'the credentials of another gate',
      base,
      formatJoinFile({ ...given, credentials: credentialsOf('mail-gate-2') }),
      64,
      /the credentials are those of "mail-gate-2"/,
    ],
    [
      'the seed of another user',
      base,
      formatJoinFile({
        ...given,
        credentials: given.credentials.replace(/^SU\w+$/m, seedIn(credentialsOf('mail-gate-1'))),
      }),
      64,
      /the seed is not that of the JWT/,
    ],
    [
      'a certificate that is no authority',
      base,
      formatJoinFile({
        ...given,
        authority: makeAuthority({ name: 'other' }).issue({ names: ['a'] }).certificatePem,
      }),
      64,
      /the authority is the certificate of something else/,
    ],
    [
      'a configuration with problems',
      base.replace('quota get', 'quota gte'),
      formatJoinFile(given),
      78,
      /nothing was changed/,
    ],
    [
      'one that includes others',
      base.replace('state:', 'include: []\nstate:'),
      formatJoinFile(given),
      78,
      /add ship\/ship\.yaml to its "include", and run this again/,
    ],
    [
      'one that has receivers',
      base.replace('4KiB', '4KiB, ship: [{ syslog: "logs.example.com:6514" }]'),
      formatJoinFile(given),
      78,
      /audit\.ship: is already defined .*is as it was, without include: \[ship\/ship\.yaml\]/s,
    ],
  ];
  for (const [what, text, content, exit, said] of rows) {
    writeFileSync(config, text, { mode: 0o600 });
    const done = await joinBy(content);
    assert.equal(done.exit, exit, `${what}: ${done.text}`);
    assert.match(done.stderr, said, what);
    assert.equal(readFileSync(config, 'utf8'), text, what);
    assert.equal(done.stdout.length, 0, what);
  }
  // More than the bound is not read: the rest would come for ever.
  const long = await runDovegate(['audit', 'fleet', 'join', '--config', config], {
    stdin: Buffer.alloc(4 * (64 * 1024), 'x'),
  });
  assert.equal(long.exit, 64, long.text);
  assert.match(long.stderr, /^dovegate: standard input is not a file for "fleet join"/);
});
