// Goal: `prepare` makes all files of a fleet or none, and overwrites nothing; `issue` adds a gate and changes nothing else of the settings.
// What must not happen: a private key on a screen, or readable by others; a name that would mean somebody else.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseJoinFile } from '../../../src/evidence/fleet-cli/join-file.js';
import { whyNotOfUser } from '../../../src/evidence/nats/jwt.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';

test('made once; a gate and a certificate more', async (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'fleet.yaml');
  const at = (...names: string[]): string => join(folder, ...names);
  const fleet = (...args: string[]) => runWarm(['audit', 'fleet', ...args, '--config', config]);
  const prepare = (server: string, hosts: string, ...more: string[]) =>
    fleet('prepare', '--server', server, '--hosts', hosts, '--state', at('state'), ...more);

  for (const [server, hosts, text] of [
    ['nats1.example.com', 'a.b', /"a\.b" is not the word of a gate/],
    ['nats1.example.com', 'one,one', /names a gate twice/],
    ['nats1.example.com', 'verifier', /"verifier" is not the name of a gate/],
    ['nats1.example.com', 'administrator', /"administrator" is not the name of a gate/],
    ['nats1.example.com', 'Verifier', /"Verifier" is not the name of a gate/],
    ['nats1.example.com', 'A,b,a', /"a" differs from "A" in capitals only/],
    ['nats1.example.com', 'operator', /"operator" is not the name of a gate/],
    ['nats1.example.com:0', 'one', /must be tls:\/\/HOST:PORT/],
  ] as const) {
    const refused = await prepare(server, hosts);
    assert.equal(refused.exit, 64, `${server} ${hosts}: ${refused.text}`);
    assert.match(refused.stderr, text);
  }
  assert.deepEqual(readdirSync(folder), [], 'nothing was written');

  // Nobody listens there: what needs the server says so.
  const made = await prepare('127.0.0.1:9', 'one,two');
  assert.equal(made.exit, 0, made.text);
  assert.match(made.text, /^next: ssh root@127\.0\.0\.1 apt-get install -y nats-server$/m);
  assert.doesNotMatch(made.text, /PRIVATE KEY|NKEY SEED|S[AOU][A-Z2-7]{40}/);
  const secrets = [
    'verifier.creds',
    ...readdirSync(at('fleet/admin')).map((name) => `admin/${name}`),
    ...readdirSync(at('fleet/admin/accounts')).map((name) => `admin/accounts/${name}`),
  ].filter((name) => name !== 'admin/accounts');
  assert.equal(secrets.length, 12);
  for (const name of secrets) assert.equal(statSync(at('fleet', name)).mode & 0o777, 0o600, name);
  assert.equal(statSync(at('fleet/admin')).mode & 0o777, 0o700);
  const script = readFileSync(at('fleet/admin/server.sh'), 'utf8');
  const shell = await runProgram('sh', ['-n', at('fleet/admin/server.sh')]);
  assert.equal(shell.exit, 0, shell.text);
  const keep = /^.*cp -p .*$/m.exec(script)?.[0].replaceAll('/etc/nats-server.conf', at('old.conf')) ?? '';
  const kept: string[] = [];
  for (const text of [undefined, 'old', 'new']) {
    if (text !== undefined) writeFileSync(at('old.conf'), text);
    const ran = await runProgram('sh', ['-euc', keep]);
    assert.equal(ran.exit, 0, ran.text);
    kept.push(
      `${ran.text}${existsSync(at('old.conf.before')) ? readFileSync(at('old.conf.before'), 'utf8') : '-'}`,
    );
  }
  assert.deepEqual(
    kept,
    ['-', 'old', 'old'],
    'a configuration that is there is kept once, and nothing is printed',
  );
  assert.match(script, /^listen: "0\.0\.0\.0:9"$/m);
  assert.doesNotMatch(script, /\bS[AOU][A-Z2-7]{40}/, 'no seed leaves the folder');

  const again = await prepare('nats1.example.com', 'three');
  assert.equal(again.exit, 78, again.text);
  assert.match(again.stderr, /fleet\.yaml: exists already, and is not overwritten\nnothing was written/);

  const before = readFileSync(config, 'utf8');
  const issued = await fleet('issue', 'three');
  assert.equal(issued.exit, 69, issued.text);
  assert.match(issued.stderr, /the server was not told, and older credentials still work: /);
  assert.match(
    issued.text,
    /^next: dovegate audit fleet init --config .*\nthen: ssh root@three dovegate audit fleet join < /m,
  );
  const line = '  "three": { key: "fleet/keys/three.pub", silent_after: 5m }\n';
  assert.equal(readFileSync(config, 'utf8'), before.replace('hosts:\n', `hosts:\n${line}`));
  assert.equal(readFileSync(at('fleet/admin/server.sh'), 'utf8'), script, 'the server needs nothing');
  const file = parseJoinFile(readFileSync(at('fleet/admin/three.join'), 'utf8'));
  assert.equal(file?.servers, 'tls://127.0.0.1:9');
  assert.equal(whyNotOfUser('three', file.credentials), undefined);
  assert.deepEqual(file.verifiers, {}, 'there are no such keys yet');
  const [old, verifier] = [makeSignKey().key, makeSignKey().key];
  writeFileSync(at('state/checkpoint.pub'), `${old}\n${verifier}\nno key\n`);
  assert.equal((await fleet('issue', 'three')).exit, 69);
  const known = parseJoinFile(readFileSync(at('fleet/admin/three.join'), 'utf8'));
  assert.deepEqual(known?.verifiers, { verifier: `${old}\n${verifier}\n` });
  const removed = await fleet('remove', 'three');
  assert.equal(removed.exit, 69, removed.text);
  assert.match(removed.stderr, /the server was not told, and its credentials still work: /);
  assert.equal(readFileSync(config, 'utf8'), before);
  assert.ok(!existsSync(at('fleet/admin/three.join')) && existsSync(at('fleet/admin/accounts/three.jwt')));
  assert.equal((await fleet('remove', 'nobody')).exit, 64);

  // New credentials of the verifier, and a certificate of the server, which has the same authority.
  const own = readFileSync(at('fleet/verifier.creds'), 'utf8');
  assert.equal((await fleet('issue', 'verifier')).exit, 69);
  assert.notEqual(readFileSync(at('fleet/verifier.creds'), 'utf8'), own);
  const server = await fleet('issue', 'server');
  assert.match(server.text, /^next: ssh root@127\.0\.0\.1 sh < /m);
  const shown = new X509Certificate(readFileSync(at('fleet/admin/server.pem')));
  assert.equal(shown.checkIP('127.0.0.1'), '127.0.0.1');
  assert.notEqual(readFileSync(at('fleet/admin/server.sh'), 'utf8'), script);

  for (const [name, why] of [
    ['Verifier', /"Verifier" is not the name of a gate; "verifier" has another meaning/],
    ['One', /"One" differs from "one" in capitals only/],
  ] as const) {
    const alike = await fleet('issue', name);
    assert.equal(alike.exit, 64, alike.text);
    assert.match(alike.stderr, why);
  }
  assert.equal(readFileSync(config, 'utf8'), before);
  const wrong = await fleet('issue', 'a b');
  assert.equal(wrong.exit, 64, wrong.text);
  // Settings that somebody wrote in another form are not guessed at.
  writeFileSync(config, before.replace(/hosts:\n(?: .*\n)+/, 'hosts: { one: {} }\n'));
  const form = await fleet('issue', 'four');
  assert.equal(form.exit, 78, form.text);
  assert.match(form.stderr, /cannot be added to .*; write it below "hosts"/);
  assert.ok(!existsSync(at('fleet/admin/four.join')));
  // As many accounts as the server takes.
  for (
    let count = readdirSync(at('fleet/admin/accounts')).length + 2;
    count < bounds.fleetAccounts;
    count += 1
  )
    writeFileSync(at(`fleet/admin/accounts/old-${count}.jwt`), '');
  writeFileSync(config, before);
  const full = await fleet('issue', 'five');
  assert.equal(full.exit, 78, full.text);
  assert.match(full.stderr, /the server takes 4000 accounts, and has them/);
  renameSync(at('fleet/admin'), at('elsewhere'));
  const away = await fleet('issue', 'one');
  assert.equal(away.exit, 78, away.text);
  assert.match(away.stderr, /it may be kept elsewhere/);
  const init = await fleet('init');
  assert.notEqual(init.exit, 0, 'no server is there');
  assert.match(
    init.stderr,
    /the server was given no accounts of gates: \S+accounts is not here; it may be kept elsewhere/,
  );
});
