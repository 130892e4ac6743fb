// Where the world of `npm run lab -- world` (world.ts) happens: two real Dovecots with mails, the configuration of a gate before them, and
// a journal of the days before.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { exchange, makeJournal } from '../../whole/bench/load/journal.js';

export const names = 'emil greta hans ida jonas klara lena marta nils olga paul rosa'.split(' ');
export const domains = ['example.com', 'example.net'] as const;
export const userAt = (domain: string, at: number): string => `${names[at % names.length]}@${domain}`;
const trashed = 6;

export const pagePeople = {
  oncall: 'role: operate',
  frank: 'role: audit',
  petra: 'role: audit, users: ["*@example.net"]',
  carol: 'role: approve',
  dora: 'role: approve',
} as const;
export type Person = keyof typeof pagePeople;
export const passwordOf = (name: string): string => `${name}-of-the-world`;

/** Mailboxes as people have them: some mails, some in the trash, and one mail that takes long to read. */
async function fill(lab: Lab, domain: string): Promise<void> {
  const users = [...names, 'ceo'].map((name) => `${name}@${domain}`);
  await lab.addUsers(users.map((user) => `${user}:{plain}pw::::::`));
  const client = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  const ask = async (user: string, fields: readonly string[], input?: string): Promise<void> => {
    client.sendCommand({ user, fields });
    if (input !== undefined) await client.write(`${input}\r\n.\r\n`);
    const { status, logs } = await client.readReply();
    assert.equal(status, '+', `${fields.join(' ')}: ${JSON.stringify(logs)}`);
  };
  for (const user of users) {
    await ask(user, ['mailbox create', 'Trash', 'Archive']);
    const subjects = ['invoice 2026', 'lunch on Friday', 'your order', 'minutes of the meeting'];
    for (const subject of subjects)
      await ask(user, ['save'], `From: shop@example.org\r\nTo: ${user}\r\nSubject: ${subject}\r\n\r\nHello.`);
    for (let count = user.startsWith('olga') ? -24 : 0; count < trashed; count += 1)
      await ask(user, ['save', '-m', 'Trash'], `Subject: old ${count}\r\n\r\nGone.`);
  }
  const large = `Subject: pictures\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(100_000)}`;
  await ask(`olga@${domain}`, ['save', '-m', 'Archive'], large);
  client.close();
}

export async function openPlace(owner: Owner, folder: string, exchanges: number) {
  // Dovecots.
  const labs: Lab[] = [];
  for (const [at, release] of (['native', 'trixie'] as const).entries()) {
    // Room for the large mail.
    const room = at === 0 ? 'plugin {\n  quota_rule = *:storage=1G\n}\n' : 'quota_storage_size = 1G\n';
    const lab = await openLab(owner, release, { users: false, extraConf: room });
    if ('skip' in lab) throw new Error(lab.skip);
    await fill(lab, domains[at] ?? '');
    labs.push(lab);
  }
  const [mail1, mail2] = labs;
  assert.ok(mail1 && mail2);

  // The configuration.
  const [port = 0, deskPort = 0, panelPort = 0] = await freePorts(3);
  const authority = makeAuthority({ name: 'authority of the world' });
  const hashes = new Map<string, string>();
  for (const name of [...Object.keys(pagePeople), 'anna', 'bert', 'billing', 'migrator'])
    hashes.set(name, await hashPassword(Buffer.from(passwordOf(name))));
  const [panelKey = '', oldKey = ''] = [1, 2].map(() => makeKey(randomBytes(keyBytes)));
  const day = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const account = (name: string, policy: string): string =>
    `${name}: { password_hash: "${hashes.get(name)}", policy: ${policy} }`;
  const key = (text: string, days: number): string =>
    `{ hash: "${hashKey(text)}", policy: billing, expires: ${day(days)} }`;
  const backend = (lab: Lab, ca: string): string =>
    `{ address: "localhost:${lab.port}", tls: starttls, ca: ${ca}, password_file: mail.password, shared_namespaces: [], connections: 6 }`;
  const config = `version: 1
listeners:
  helpdesk: { unix: helpdesk.sock, mode: "0600", policy: helpdesk }
  desk:
    tcp: "127.0.0.1:${deskPort}"
    tls: { mode: starttls, certificate: gate.crt, key: gate.key }
    accounts:
      ${account('anna', 'helpdesk')}
      ${account('bert', 'helpdesk')}
      ${account('billing', 'billing')}
      ${account('migrator', 'migration')}
  panel:
    tcp: "127.0.0.1:${panelPort}"
    protocol: http
    tls: { mode: off }
    keys:
      panel: ${key(panelKey, 5)}
      oldpanel: ${key(oldKey, -2)}
backends:
  mail1: ${backend(mail1, 'mail1.pem')}
  mail2: ${backend(mail2, 'mail2.pem')}
routes:
  - { users: ["*@example.net"], backend: mail2 }
  - { users: ["*"], backend: mail1 }
policies:
  helpdesk:
    users: ["*@example.com", "*@example.net"]
    except: ["ceo@example.com"]
    allow:
      - quota get
      - mailbox list
      - mailbox status
      - { command: fetch, where: { field: [uid, guid, flags, size.physical], query: any } }
      - { command: expunge, where: { query: { mailbox: [Trash, Junk] } }, reason: required, max_matches: 20, limit: 30/hour }
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 4h, scope: user, uses: 5, reason: { regex: "ticket [0-9]+.*" } }
      - { command: search, content: true, approvals: 0, for: 2h, uses: 2, reason: { regex: "incident [0-9]+.*" } }
      - { command: expunge, approvals: 1, for: 1h, reason: { regex: "ticket [0-9]+.*" } }
    requests: { open: 5, wait: 12h }
    limits: { rate: 1200/minute }
  billing:
    users: ["*@example.com", "*@example.net"]
    allow: [quota get, mailbox status]
    limits: { rate: 1200/minute }
  migration:
    users: ["*@example.com", "*@example.net"]
    allow: [quota get, mailbox list, mailbox status, { command: fetch, content: true }]
    on_request:
      - { command: mailbox create, approvals: 1, for: 1h, scope: user }
    requests: { open: 5, wait: 30s }
persons:
  anna: { accounts: [anna] }
  bert: { accounts: [bert] }
  carol: { page: [carol] }
  dora: { page: [dora] }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 4MiB, reserve: 1MiB, segment: 256MiB, sign_key: sign.pem }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: "127.0.0.1:${port}"
    approve: true
    people:
${Object.entries(pagePeople)
  .map(([name, rights]) => `      ${name}: { password_hash: "${hashes.get(name)}", ${rights} }`)
  .join('\n')}
`;
  // The days before.
  mkdirSync(join(folder, 'audit'), { mode: 0o700 });
  const spanMs = 3 * 86_400_000;
  const startedMs = Date.now() - spanMs;
  const stepMs = Math.floor(spanMs / (exchanges + 10));
  const how = { exchange: past(config, join(folder, 'dovegate.yaml')), startedMs, stepMs };
  const made = makeJournal(join(folder, 'audit'), { records: exchanges * 2 }, how);
  /** The gate begins a segment of its own. */
  const journal = join(folder, `audit/${String(made.segments + 1).padStart(8, '0')}.jsonl`);

  const tls = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const files = {
    'gate.crt': tls.certificatePem,
    'gate.key': tls.keyPem,
    'mail.password': `${mail1.password}\n`,
    'mail1.pem': readFileSync(mail1.caFile, 'utf8'),
    'mail2.pem': readFileSync(mail2.caFile, 'utf8'),
    'sign.pem': made.key.secretPem,
  };
  const ca = authority.certificatePem;
  const doors = { port, deskPort, panelPort, panelKey, oldKey, ca };
  return { mail1, mail2, config, files, journal, startedMs, day, ...doors };
}

/** The exchanges of the days before, by the policies that are in force: reading, and some refusals. */
function past(config: string, file: string) {
  const { settings } = parseSettings(file, { readText: () => config, glob: () => [] });
  assert.ok(settings);
  const versions = new Map([...settings.policies].map(([name, { version }]) => [name, version]));
  const lines = config.split('\n');
  const placeOf = (words: string): string => `${file}:${lines.findIndex((line) => line.includes(words)) + 1}`;
  const teams = [
    ['anna@desk', 'helpdesk', '- mailbox status'],
    ['bert@desk', 'helpdesk', '- mailbox status'],
    ['billing@desk', 'billing', 'allow: [quota get, mailbox status]'],
    ['migrator@desk', 'migration', 'allow: [quota get, mailbox list'],
  ] as const;
  return (count: number, time: number, id: string): readonly AuditRecord[] => {
    const [principal, policy, words] = teams[(count * 7) % 4] ?? teams[0];
    const domain = domains[count % 3 === 0 ? 1 : 0];
    const user = userAt(domain, count);
    const backend = domain === 'example.net' ? 'mail2' : 'mail1';
    return exchange(count, time, id).map((record): AuditRecord => {
      const isDenied = record.command === 'mailbox delete';
      const [rule, args] = isDenied
        ? [undefined, ['--', 'Archive']]
        : [placeOf(words), ['--', 'messages vsize', 'INBOX']];
      const command = isDenied ? record.command : 'mailbox status';
      const own = { listener: 'desk', principal, user, backend, command };
      if (record.event !== 'admission')
        return { ...record, ...own, ...(record.upstream && { upstream: `${backend}-1` }) };
      const peer = { address: '127.0.0.1' };
      const told = { policy, version: versions.get(policy), rule, args, users: [user], peer };
      return { ...record, ...own, ...told, series: backend === 'mail1' ? '2.3' : '2.4' };
    });
  };
}
