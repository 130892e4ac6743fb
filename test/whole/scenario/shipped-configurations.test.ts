// Goal: every file of config/ is run by a test, and the configurations for systemd, compose and Kubernetes serve as they stand: the built
// daemon takes them with the addresses, secrets and folders of this machine. What must not happen: a shipped file that nobody has run.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { openSocket } from '../../kit/gate/passed-sockets.js';
import type { Script } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { projectRoot } from '../../kit/plain/root.js';

const root = fileURLToPath(projectRoot);
const read = (name: string): string => readFileSync(join(root, 'config', name), 'utf8');

const composeShape = z.object({ configs: z.object({ dovegate: z.object({ content: z.string() }) }) });
const mapShape = z.object({ data: z.object({ 'dovegate.yaml': z.string() }) });
const readMap = (name: string): string =>
  mapShape.parse(parseAllDocuments(read(name))[0]?.toJS()).data['dovegate.yaml'];

/** File -> the configuration in it. */
const configurations: Readonly<Record<string, () => string>> = {
  'systemd.example.yaml': () => read('systemd.example.yaml'),
  'compose.example.yaml': () =>
    composeShape.parse(parse(read('compose.example.yaml'))).configs.dovegate.content,
  'kubernetes-sidecar.example.yaml': () => readMap('kubernetes-sidecar.example.yaml'),
  'kubernetes-standalone.example.yaml': () => readMap('kubernetes-standalone.example.yaml'),
};

/** File -> the test that runs it. */
const elsewhere: Readonly<Record<string, string>> = {
  'dovegate.example.yaml': 'whole/dovecot/documented.test.ts',
  'dovegate.schema.json': 'rules/config/schema.test.ts',
  'grafana-dashboard.json': 'whole/prometheus/names.test.ts',
  presets: 'rules/config/presets.test.ts',
  'prometheus-rules.yaml': 'whole/prometheus/alerts.test.ts',
  'record.schema.json': 'evidence/formats/record-schema.test.ts',
  'rsyslog-receiver.conf': 'whole/rsyslog/shipping.test.ts',
};

test('every file of config/ is run by a test', () => {
  const run = [...Object.keys(configurations), ...Object.keys(elsewhere)];
  assert.deepEqual(readdirSync(join(root, 'config')).toSorted(), run.toSorted());
  for (const path of Object.values(elsewhere)) assert.ok(existsSync(join(root, 'test', path)), path);
});

const shape = z.object({
  listeners: z.record(
    z.string(),
    z.object({
      systemd: z.string().optional(),
      tcp: z.string().optional(),
      policy: z.string().optional(),
      accounts: z
        .record(z.string(), z.object({ certificate_name: z.string(), policy: z.string() }))
        .default({}),
    }),
  ),
  policies: z.record(z.string(), z.object({ users: z.tuple([z.string()]), allow: z.array(z.string()) })),
});

const argumentsOf: Readonly<Record<string, readonly string[]>> = {
  'mailbox status': ['messages', 'INBOX'],
  'mailbox delete': ['Trash'],
  search: ['all'],
};

for (const [name, textOf] of Object.entries(configurations)) {
  test(`${name}: what it allows is carried out, everything else is denied`, async (t) => {
    const folder = openFolder(t);
    const authority = makeAuthority({ name: 'lab' });
    const certificate = authority.issue({ names: ['mail1.example.com'] });
    const script: Script = (_command, connection) => connection.status('+');
    const tcp = await openScriptedDovecot({
      minor: 3,
      tls: 'starttls',
      certificate,
      password: 'secret',
      script,
      owner: t,
    });
    const text = textOf();
    await openScriptedDovecot({
      minor: 3,
      unix: join(folder, 'dovecot'),
      authenticate: text.includes('password_file'),
      password: 'secret',
      script,
      owner: t,
    });
    const [port = 0] = await freePorts(1);
    const { listeners, policies } = shape.parse(parse(text));
    const passed = Object.entries(listeners).filter(([, { systemd }]) => systemd !== undefined);
    const descriptors = await Promise.all(
      passed.map(([each]) => openSocket(t, join(folder, `${each}.sock`))),
    );

    const here = text
      .replaceAll('/run/dovegate-upstream/doveadm', join(folder, 'dovecot'))
      .replaceAll('/run/dovegate-memory/own/', `${folder}/`)
      .replaceAll('mail1.example.com:24245', `127.0.0.1:${tcp.port}`)
      .replaceAll('/run/credentials/dovegate.service/secret_mail1', join(folder, 'password'))
      .replaceAll('0.0.0.0:24246', `127.0.0.1:${port}`)
      .replaceAll(/\/etc\/dovegate(?:-secret|-tls)?\//g, `${folder}/`)
      .replaceAll('/run/dovegate/', `${folder}/`)
      .replaceAll('/var/lib/dovegate', join(folder, 'lib'))
      .replaceAll(/\bgroup: (?:"\d+"|dovegate-journal)/g, `group: "${process.getgid?.()}"`)
      .replaceAll(/\/run\/dovegate-(?:door|page)\//g, `${folder}/`)
      .replace(/^audit:$/m, `audit:\n  memory: ${folder}/audit.ring\n  memory_size: 1MiB`);
    const daemon = await startDaemon(t, {
      folder,
      config: here,
      files: {
        'ca.pem': authority.certificatePem,
        'clients.pem': authority.certificatePem,
        'tls.crt': certificate.certificatePem,
        'tls.key': certificate.keyPem,
        password: 'secret\n',
      },
      descriptors,
      // LISTEN_PID is the number of the process that reads it.
      launcher: ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'],
      env: {
        LISTEN_FDS: String(passed.length),
        LISTEN_FDNAMES: passed.map(([, { systemd = '' }]) => systemd).join(':'),
      },
    });
    for (const [listener, { tcp: address, accounts, ...named }] of Object.entries(listeners)) {
      const [account] = Object.values(accounts);
      const client = await openRawClient(
        address === undefined
          ? { path: join(folder, `${listener}.sock`), minor: 2 }
          : {
              host: '127.0.0.1',
              port,
              minor: 2,
              tls: 'implicit',
              ca: authority.certificatePem,
              serverName: 'mail1.example.com',
              certificate: authority.issue({ names: [account?.certificate_name ?? ''], client: true }),
            },
      );
      const policy = named.policy ?? account?.policy ?? '';
      const { users, allow } = policies[policy] ?? assert.fail(policy);
      const ask = async (command: string): Promise<string> => {
        const fields = [command, ...(argumentsOf[command] ?? [])];
        return (await client.ask({ user: users[0].replace('*', 'bob'), fields })).status;
      };
      for (const command of allow) assert.equal(await ask(command), '+', command);
      assert.equal(await ask('mailbox delete'), '-NOPERM');
      client.close();
    }
    const status = await runWarm(['status', '--config', daemon.configFile]);
    assert.equal(status.exit, 0, status.text);
    assert.match(status.text, /^ready +yes$/m);
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  });
}
