// Goal: @dovegate/mcp by itself. Packed, it is installed into an empty folder without a network, and serves a host in front of a running
// daemon, over a socket and over HTTP with a key. What must not happen: a dependency that is fetched, a part of it among the gate's own
// files, a licence that is not allowed.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { readManifest, root } from '../../architecture/project.js';
import { openAgent } from '../../kit/gate/agent.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { runProgram } from '../../kit/plain/program.js';
import { licences } from './licences.js';
import { install, sizeOf } from './packing.js';

const user = 'alice@example.org';
const reason = 'ticket 4711';
const key = 'dvg_Bz7B40TF_S7daqFHgBdu8rbNzRn3tL4Vbvi4YYAxUPBb9SsUmlgG_118cn5';

void test('tools for agents by themselves', { timeout: 240_000 }, async (t) => {
  const folder = openFolder(t);
  await install(folder, 'mcp');
  t.diagnostic(sizeOf(join(folder, `dovegate-mcp-${readManifest().version}.tgz`)));
  const own = join(folder, 'node_modules/@dovegate/mcp');
  const program = join(folder, 'node_modules/.bin/dovegate-mcp');
  const beside = readdirSync(join(folder, 'node_modules')).toSorted();
  assert.deepEqual(beside, ['.bin', '.package-lock.json', '@dovegate']);
  const manifest = z
    .looseObject({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')));
  assert.equal(manifest.version, readManifest().version);
  assert.ok(!('dependencies' in manifest));
  assert.doesNotMatch(readFileSync(join(own, 'README.md'), 'utf8'), /VERSION|<!--|\]\((?![a-z]+:)/);
  const texts = readFileSync(join(own, 'LICENSES.txt'), 'utf8');
  const bundled = [...texts.matchAll(/^(\S+) \d+\.\d+\.\d+\S*: (.+)$/gm)].map(([, name, licence]) => [
    name,
    licence,
  ]);
  assert.ok(bundled.some(([name]) => name === '@modelcontextprotocol/server'));
  assert.deepEqual(
    bundled.filter(([, licence]) => !licences.has(licence ?? 'none')),
    [],
  );
  // Nothing of it is in the program of the gate.
  const others = readdirSync(join(root, 'dist')).filter((name) => name.endsWith('.js'));
  assert.ok(existsSync(join(root, 'dist/main.js')));
  for (const name of others)
    assert.doesNotMatch(readFileSync(join(root, 'dist', name), 'utf8'), /modelcontextprotocol/, name);

  const [port = 0] = await freePorts(1);
  const authority = makeAuthority({ name: 'authority of the tests' });
  const server = authority.issue({ names: ['localhost'] });
  const { daemon } = await openGateway(t, {
    authority,
    backend: {
      script: async (_, connection) => {
        await connection.row('User quota', 'STORAGE', '12', '100', '12');
        await connection.status('+');
      },
    },
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  panel:
    tcp: 127.0.0.1:${port}
    protocol: http
    tls: { certificate: tls.crt, key: tls.key }
    from: [127.0.0.0/8]
    keys:
      agent: { hash: "sha256$676f9fd7336f663224ad4daa7266ad59ac81cd37c80b61bd2b47e36da039bea9", policy: support }`,
    policy:
      '\n    users: ["*@example.org"]\n    limits: { at_once: 1 }\n    allow: [{ command: quota get, reason: required }, { command: mailbox subscribe, reason: required }, { command: fetch, reason: required, where: { field: [uid] } }]',
    files: {
      'agent.key': `${key}\n`,
      'tls.crt': server.certificatePem,
      'tls.key': server.keyPem,
    },
  });
  const overHttp = ['--http', `https://localhost:${port}`, '--ca', daemon.path('ca.pem')];
  for (const where of [
    ['--socket', daemon.path('support.sock')],
    [...overHttp, '--key-file', daemon.path('agent.key')],
  ]) {
    const agent = await openAgent(t, where, program);
    const { client } = agent;
    assert.equal(client.getServerVersion()?.version, readManifest().version);
    const { tools } = await client.listTools();
    assert.ok(
      tools.some(({ name }) => name === 'quota_get') && !tools.some(({ name }) => name === 'expunge'),
    );
    const { data } = await agent.call('quota_get', { user, reason });
    assert.match(JSON.stringify(data), /"STORAGE"/);
    const dry = await agent.call('mailbox_subscribe', { user, mailbox: ['Work'], dry_run: true, reason });
    assert.match(JSON.stringify(dry.data), /"decision","value":"allow"/);
    const denied = await agent.call('fetch', { user, field: ['hdr.subject'], query: ['all'], reason });
    assert.equal(denied.said['error'], 'denied');
  }
  for (const [args, exit] of [
    [[], 64],
    [['--socket', '/s', '--http', 'x'], 64],
    [['--socket', '/s', '--ca', 'x'], 64],
    [['--socket', '/s', '--tag', 'a b'], 64],
    [['--http', 'https://x', '--key-file', '/nonexistent'], 1],
    [['--socket', '/nonexistent'], 0],
  ] as const)
    assert.equal((await runProgram(program, args)).exit, exit, args.join(' '));
});
