// Goal: what was judged for one backend is not taken for judged at another: other shared namespaces, another series, other terms.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { type DialledEnd, replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

const password = join(openFolder({ after }), 'password');
writeFileSync(password, 'secret\n', { mode: 0o600 });

/** Two backends with these keys besides, and these rules. */
const settingsOf = (mail1: string, mail2: string, rules: readonly string[]): string => `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support, sessions: 3 } }
backends:
  mail1: { address: "127.0.0.1:1", tls: off, password_file: ${password}, idle: 0, ${mail1} }
  mail2: { address: "127.0.0.2:2", tls: off, password_file: ${password}, idle: 0, ${mail2} }
routes:
  - { users: ["*@example.org"], backend: mail1 }
  - { users: ["*"], backend: mail2 }
policies:
  support:
    users: ["*"]
    allow:
${rules.map((rule) => `      - ${rule}`).join('\n')}
`;

const numberOf = ({ address }: DialledEnd): number =>
  address.kind === 'tcp' && address.host === '127.0.0.1' ? 1 : 2;

interface Heard {
  readonly said: string;
  readonly sent: readonly string[];
  readonly completion: AuditRecord | undefined;
}

/** Lines of a client of that minor, one after the other; what came of the last. */
async function ask(
  settings: string,
  lines: readonly string[],
  answer: (backend: number, line: number) => string,
  minors: { readonly client: number; readonly backend: (line: number) => number },
  onOpen: (engine: MemoryEngine) => void = () => undefined,
): Promise<Heard> {
  let line = 0;
  const engine = openMemoryEngine({ settings, minor: () => minors.backend(line) });
  onOpen(engine);
  engine.setAnswer((_text, end) => replyPacket(answer(numberOf(end), line)));
  const client = await engine.client(minors.client);
  let before = 0;
  let saidBefore = 0;
  for (const text of lines) {
    line += 1;
    before = engine.commands.length;
    saidBefore = client.said().length;
    await client.line(text);
    // The password of each backend is read from a real file, which takes real time.
    const ends = line;
    await until(() => engine.recordsOf('completion').length === ends, `the end of ${text}`);
  }
  return {
    said: client.said().slice(saidBefore),
    sent: engine.commands
      .slice(before)
      .map(({ line: text, end }) => `${numberOf(end)} ${text.replaceAll('\t', '|')}`),
    completion: engine.recordsOf('completion').at(-1),
  };
}

const good = '\n+\n';
const statusOf = (said: string): string => said.trimEnd().split('\n').at(-1) ?? '';
const old = { client: 2, backend: () => 2 };
const newer = { client: 3, backend: () => 4 };

void describe('a referral', () => {
  const refer = (backend: number): string =>
    backend === 1 ? '\n-REFERRAL a@example.org@127.0.0.2:2\n' : good;

  void test('to a backend where another rule, with other terms, would allow it', async () => {
    const rules = [
      '{ command: expunge }',
      '{ command: expunge, shared: true, max_matches: 1, reason: required }',
    ];
    const settings = settingsOf(
      'shared_namespaces: []',
      'shared_namespaces: ["Team/"], series: "2.3"',
      rules,
    );
    const heard = await ask(settings, ['|a@example.org|expunge|mailbox|Team/ceo|all'], refer, old);
    assert.deepEqual(heard.sent, ['1 |a@example.org|expunge|--|mailbox|Team/ceo|all']);
    assert.equal(statusOf(heard.said), '-TEMPFAIL');
  });

  void test('to a backend where another rule allows it, which ends while an upstream is dialled there', async () => {
    const rules = [
      '{ command: expunge }',
      '{ command: expunge, shared: true, expires: "2026-01-02T03:05:00Z" }',
    ];
    const settings = settingsOf(
      'shared_namespaces: [], series: "2.3"',
      'shared_namespaces: ["Team/"], series: "2.3"',
      rules,
    );
    const ended: MemoryEngine[] = [];
    let dials = 0;
    const backend = (): number => {
      dials += 1;
      if (dials === 2) for (const { clock } of ended) clock.leap(60_000);
      return 2;
    };
    const line = '|a@example.org|expunge|mailbox|Team/ceo|all';
    const heard = await ask(settings, [line], refer, { client: 2, backend }, (engine) => ended.push(engine));
    assert.deepEqual([heard.sent, dials], [['1 |a@example.org|expunge|--|mailbox|Team/ceo|all'], 2]);
    assert.deepEqual([statusOf(heard.said), heard.completion?.outcome], ['-NOPERM', 'denied']);
  });
});

void describe('all users', () => {
  const rules = ['{ command: mailbox status, all_users: true }', 'quota get'];
  const all = '||mailbox status|-A|messages|Team/ceo';

  void test('a prefix that one backend says counts where another says none', async () => {
    const settings = settingsOf('shared_namespaces: ["Team/"], series: "2.4"', 'series: "2.4"', rules);
    const heard = await ask(settings, [all], () => good, newer);
    assert.deepEqual(heard.sent, []);
    assert.equal(statusOf(heard.said), '-NOPERM');
  });

  void test('reach into no shared namespaces where every backend says that it has none', async () => {
    const said = 'shared_namespaces: [], series: "2.4"';
    const line = '||mailbox status|-A|messages|*';
    const heard = await ask(settingsOf(said, said, rules), [line], () => good, newer);
    assert.equal(statusOf(heard.said), '+');
    assert.equal(heard.sent.length, 2);
  });
});

void describe('rows', () => {});
