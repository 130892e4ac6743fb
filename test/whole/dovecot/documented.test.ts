// Goal: what config/ and the quick starts tell people to write works as it stands, in front of a real Dovecot: its own lines for
// Dovecot, its configuration, its commands. Only folders, ports and the names of accounts are those of this machine. What must not happen:
// a first command that fails after all was done as it is written.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { startDaemon } from '../../kit/gate/daemon.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { ends } from '../../kit/plain/program.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { example, readPage } from '../cli/docs-page.js';
import { complete, fencesOf } from '../cli/docs-steps.js';
import { backendPassword, onDovecot, openBareDovecot } from './real-gateway.js';

/** What a page or a file tells people to write. */
interface Documented {
  readonly dovecot: string;
  readonly configuration: string;
}

const testsShape = z.object({
  tests: z.array(
    z.object({ listener: z.string(), user: z.string(), command: z.array(z.string()), expect: z.string() }),
  ),
});

/** Of config/dovegate.example.yaml; the lines for Dovecot are in the comment at its top. */
function documentedExample(): Documented {
  const configuration = readPage('config/dovegate.example.yaml');
  const [dovecot = ''] = /(?<=^#\n)(?:# {3}.*\n)+/m.exec(configuration) ?? [];
  return { dovecot: dovecot.replaceAll(/^#/gm, ''), configuration };
}

/** Of a quick start: its first configuration, and the lines before it for a Dovecot of that series. */
function documentedStart(page: string, series: Lab['series']): Documented {
  const fences = fencesOf(page);
  const snippets = fences.filter(({ language }) => language === '').map(({ text }) => text);
  const fragment = fences.find(({ language, info }) => language === 'yaml' && info !== '')?.text ?? '';
  return {
    dovecot: (series === '2.3' ? snippets[0] : snippets.at(-1)) ?? '',
    configuration: complete(fragment, example),
  };
}

/** Does as it is written; the folder of the daemon. */
async function follow(owner: Owner, lab: Lab, { dovecot, configuration }: Documented): Promise<string> {
  const folder = mkdtempSync(join(lab.folder, 'gate-'));
  writeFileSync(join(folder, 'doveadm-password.conf'), `doveadm_password = ${backendPassword}\n`);
  const [port = 0] = await freePorts(1);
  const tls = lab.inRoot(join(lab.folder, 'tls'));
  await lab.writeExtraConf(
    dovecot
      .replaceAll('user = dovegate', 'user = root')
      .replaceAll('/etc/dovecot/doveadm-password.conf', lab.inRoot(join(folder, 'doveadm-password.conf')))
      .replaceAll('/etc/dovecot/tls', tls)
      .replaceAll('port = 24245', `port = ${port}`),
  );
  const group = `group: "${process.getgid?.()}"`;
  const config = configuration
    .replaceAll('mail1.example.com:24245', `127.0.0.1:${port}`)
    .replaceAll('server_name: mail1.example.com', 'server_name: localhost')
    .replaceAll('/run/dovecot/', `${lab.folder}/run/`)
    .replaceAll('/run/dovegate/', `${folder}/`)
    .replaceAll('/var/lib/dovegate', join(folder, 'lib'))
    .replaceAll('/etc/dovegate/', `${folder}/`)
    .replaceAll(/\bgroup: [a-z]+/g, group)
    .replace(/^audit: \{/m, `audit: { memory: ${folder}/audit.ring, memory_size: 1MiB,`)
    .replace(/^audit:$/m, `audit:\n  memory: ${folder}/audit.ring\n  memory_size: 1MiB`);
  await startDaemon(owner, {
    folder,
    config,
    files: { 'ca.pem': readFileSync(lab.caFile, 'utf8'), 'mail1.password': `${backendPassword}\n` },
  });
  await ends(0, runWarm(['check', '--config', join(folder, 'dovegate.yaml')]));
  const status = await runWarm(['status', '--config', join(folder, 'dovegate.yaml')]);
  assert.match(status.text, /^ready +yes$/m);
  return folder;
}

async function ask(client: RawClient, user: string, fields: readonly string[]): Promise<string> {
  client.send('\t\tOPTION\tdovegate-reason=as documented');
  return (await client.ask({ user, fields })).status;
}

const composeShape = z.object({ configs: z.object({ dovecot: z.object({ content: z.string() }) }) });

/** Starts the instance with the configuration that config/compose.example.yaml gives to its Dovecot; the socket for dovegate. */
async function followCompose(lab: Lab): Promise<string> {
  const { configs } = composeShape.parse(parse(readPage('config/compose.example.yaml')));
  const inside = lab.inRoot(lab.folder);
  const places = `base_dir = ${inside}/run\nstate_dir = ${inside}/state\nlog_path = ${inside}/dovecot.log`;
  await lab.stop();
  writeFileSync(
    join(lab.folder, 'dovecot.conf'),
    configs.dovecot.content
      .replace('log_path = /dev/stderr', places)
      .replace('/srv/mail/', `${inside}/mail/`)
      .replace('/run/dovegate-upstream/', `${inside}/run/`)
      .replace('user = dovegate', 'user = root'),
  );
  await lab.start();
  return join(lab.folder, 'run/doveadm');
}

test('the lines for Dovecot in docs/backends.md are those of config/dovegate.example.yaml', () => {
  const plain = (text: string): string => text.replaceAll(/^ +/gm, '');
  const blocks = fencesOf(readPage('docs/backends.md')).filter(({ language }) => language === '');
  assert.ok(blocks.length > 0);
  for (const { text } of blocks) assert.ok(plain(documentedExample().dovecot).includes(plain(text)), text);
});

onDovecot('config/ and the quick starts, literally', openBareDovecot, async (t, lab) => {
  await lab.addUsers(['alice', 'bob', 'ceo'].map((user) => `${user}@example.com:{plain}pw::::::`));
  await ends(0, lab.doveadm(['mailbox', 'create', '-u', 'bob@example.com', 'Trash']));

  await t.test('config/dovegate.example.yaml: each of its policy tests, as a command', async (nested) => {
    const documented = documentedExample();
    const folder = await follow(nested, lab, documented);
    const { tests } = testsShape.parse(parse(documented.configuration));
    assert.ok(tests.length >= 5);
    for (const { listener, user, command, expect } of tests) {
      const client = await openRawClient({ path: join(folder, `${listener}.sock`), minor: 2 });
      const status = await ask(client, user, command);
      client.close();
      assert.equal(status, expect === 'allow' ? '+' : '-NOPERM', command.join(' '));
    }
  });

  const [oneHost = '', overTls = ''] = readPage('docs/quickstart.md').split(/^(?=## Dovecots over TLS$)/m);
  for (const [text, name] of [
    [oneHost, 'one host'],
    [overTls, 'over TLS'],
  ] as const) {
    await t.test(`docs/quickstart.md, ${name}: its first commands`, async (nested) => {
      const folder = await follow(nested, lab, documentedStart(text, lab.series));
      const client = await openRawClient({ path: join(folder, 'support.sock'), minor: 2 });
      nested.after(() => client.close());
      assert.equal(await ask(client, 'alice@example.com', ['quota get']), '+');
      assert.equal(await ask(client, 'alice@example.com', ['mailbox list']), '+');
      assert.equal(await ask(client, 'alice@example.com', ['fetch', 'text', 'all']), '-NOPERM');
    });
  }

  // It is for 2.4, and the last here: the instance has another configuration then.
  if (lab.series !== '2.4') return;
  await t.test('config/compose.example.yaml: its Dovecot answers at its socket', async (nested) => {
    const client = await openRawClient({ path: await followCompose(lab), minor: 2 });
    nested.after(() => client.close());
    for (const fields of [['mailbox list'], ['mailbox status', 'messages', 'INBOX'], ['search', 'all']])
      assert.equal(await ask(client, 'alice@example.org', fields), '+', fields.join(' '));
  });
});
