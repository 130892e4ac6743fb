// A small run as the driver would leave it, made up: a journal with a right chain and signatures, and what clients and backends saw.
// Tests change one thing and look for the finding.
import { createHash, createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export type Fields = Record<string, unknown>;

export interface Evidence {
  run: Fields;
  policy: Fields[];
  clients: Fields[];
  backend: Fields[];
  faults: Fields[];
  samples: Fields[];
  /** Records without seq, prev and hash; a checkpoint gets its head and signature when they are sealed. */
  records: Fields[];
  verify: Fields;
  gateLog: string;
  /** Changes the sealed lines of the journal, before they are written. */
  afterSealing: (lines: string[]) => string[];
  /** Changes the messages of the stream. */
  ofStream: (messages: Fields[]) => Fields[];
}

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' });
const rawKey = Buffer.from(createPublicKey(pem).export({ format: 'jwk' }).x ?? '', 'base64url').toString(
  'base64',
);
const hmacKey = 'a'.repeat(64);
const policyText = 'policies: {}\n';
const policyHash = sha(policyText);
export const started = 1_800_000_000_000;

export function sha(text: string): string {
  return createHash('sha256').update(Buffer.from(text, 'latin1')).digest('hex');
}

function hmac(text: string): string {
  return createHmac('sha256', hmacKey).update(Buffer.from(text, 'latin1')).digest('hex');
}

interface Command {
  number: number;
  command: string;
  args: string[];
  /** As they go upstream. */
  sent: string[];
  /** As they are recorded; default: as sent. */
  recorded?: unknown[];
  user?: string;
  effect?: string;
  status?: string;
  rows?: string;
  input?: string;
}

export function tokenOf(number: number): string {
  return `tktoken${String(number).padStart(6, '0')}`;
}

/** Each command takes 100 ms, and the next begins 300 ms later. */
function addCommand(evidence: Evidence, asked: Command): void {
  const { number, command, args, sent } = asked;
  const token = tokenOf(number);
  const user = asked.user ?? 'alice@example.com';
  const status = asked.status ?? '+';
  const isDenied = status === '-NOPERM';
  const rows = asked.rows ?? (isDenied ? '' : `cell\t${token}\t`);
  const effect = asked.effect ?? 'read';
  const begun = started + 10_000 + number * 400;
  const cells = rows.split('\t').length - 1;
  const digest = { bytes: rows.length, sha: sha(rows) };
  const id = `01M${String(number).padStart(23, '0')}`;
  const session = `01S${String(number).padStart(23, '0')}`;
  const { input: text } = asked;
  const input = text === undefined ? undefined : { bytes: text.length, sha: sha(text) };
  const time = new Date(begun).toISOString();
  evidence.clients.push({
    client: number,
    kind: 'unix',
    principal: 'anna@support',
    token,
    user,
    command,
    args,
    expect: isDenied ? 'refuse' : 'allow',
    effect: effect === 'read' ? 'read' : 'write',
    begun,
    ended: begun + 100,
    ...(input && { input: { ...input, text } }),
    status,
    rows: digest,
    text: rows,
    logs: isDenied ? [`dovegate: denied [denied], id ${id}`] : [],
    end: 'open',
  });
  if (!isDenied)
    evidence.backend.push({
      backend: 'mail1',
      conn: number,
      n: 1,
      at: begun + 20,
      line: ['', user, command, ...sent].join('\t'),
      ...(input && { input }),
      passed: true,
      reply: { status, ...digest, whole: true },
      ended: begun + 80,
    });
  const ids = { session, id, listener: 'support' };
  evidence.records.push(
    {
      time,
      event: 'admission',
      ...ids,
      peer: { uid: 1001 },
      principal: 'anna@support',
      policy: 'support',
      version: policyHash,
      series: '2.4',
      decision: isDenied ? 'deny' : 'allow',
      ...(input && { reason: `because ${token}` }),
      command,
      user,
      args: asked.recorded ?? sent,
      effect,
      ...(!isDenied && { backend: 'mail1' }),
      users: [user],
    },
    {
      time,
      event: 'completion',
      ...ids,
      principal: 'anna@support',
      command,
      user,
      ...(text !== undefined && { input: { bytes: text.length, hmac: hmac(text) } }),
      ...(!isDenied && { backend: 'mail1', upstream: `mail1-${number}` }),
      status,
      outcome: isDenied ? 'denied' : status === '+' ? 'ok' : 'failed',
      sent: !isDenied,
      ...(!isDenied && { cells, bytes_in: rows.length }),
      bytes_out: rows.length + status.length + 2,
      ...(!isDenied && { wait_ms: 1, first_byte_ms: 2 }),
      duration_ms: 50,
    },
  );
}

const checkpoint = { event: 'checkpoint' };

/** A run without a fault: reads and changes, a text, a search for content, a refusal, a failure, a kill with its recovery. */
export function createEvidence(): Evidence {
  const evidence: Evidence = {
    run: {
      seed: 1,
      started,
      ended: started + 120_000,
      policies: {
        v1: {
          'anna@support': [
            {
              commands: ['mailbox status', 'mailbox create', 'mailbox delete', 'save', 'search', 'expunge'],
              users: ['*@example.com'],
              except: ['ceo@example.com'],
            },
            { commands: ['fetch'], users: ['*@example.com'], except: ['ceo@example.com'], content: true },
          ],
        },
        v2: { 'anna@support': [{ commands: ['mailbox status'], users: ['*@example.com'], except: [] }] },
      },
      secrets: ['correct-horse-battery'],
      keys: [pem],
      users: ['alice@example.com'],
      realm: 'example.com',
      series: { mail1: '2.4' },
      connections: { mail1: 4 },
    },
    policy: [{ version: 'v1', from: started - 1000, until: started }],
    clients: [],
    backend: [
      {
        backend: 'mail1',
        conn: 1,
        n: 0,
        at: started,
        line: 'VERSION\tdoveadm-server\t1\t2',
        handshake: true,
      },
    ],
    faults: [],
    samples: [],
    records: [],
    verify: {
      'audit verify': { exit: 0, output: 'passed' },
      'audit fleet verify': { exit: 0, output: 'passed' },
    },
    gateLog: '{"event":"started"}\n',
    afterSealing: (lines) => lines,
    ofStream: (messages) => messages,
  };
  const at = (ms: number): string => new Date(started + ms).toISOString();
  const start = { event: 'start', journal: 'f'.repeat(32), format: 1, program: 'dovegate 0.1.0' };
  evidence.records.push({ time: at(0), ...start }, { time: at(0), ...checkpoint });
  const addStatus = (number: number, more: Partial<Command> = {}): void => {
    const args = ['messages', tokenOf(number)];
    addCommand(evidence, { number, command: 'mailbox status', args, sent: ['--', ...args], ...more });
  };
  for (let number = 1; number <= 4; number += 1) addStatus(number);
  addCommand(evidence, {
    number: 5,
    command: 'mailbox create',
    args: [tokenOf(5)],
    sent: ['--', tokenOf(5)],
    effect: 'write',
    rows: '',
  });
  addCommand(evidence, {
    number: 6,
    command: 'save',
    args: ['-m', 'INBOX'],
    sent: ['-m', 'INBOX', '--'],
    effect: 'write',
    rows: '',
    input: `Subject: ${tokenOf(6)}\r\n\r\n.a`,
  });
  addCommand(evidence, {
    number: 7,
    command: 'fetch',
    args: ['uid text', 'subject', tokenOf(7)],
    sent: ['--', 'uid text', 'subject', tokenOf(7)],
    recorded: ['--', 'uid text', 'subject', { hmac: hmac(tokenOf(7)) }],
  });
  addStatus(8, { user: 'ceo@example.com', status: '-NOPERM' });
  addStatus(9, { status: '-NOTFOUND', rows: '' });
  addStatus(10);
  evidence.records.push({ time: at(30_000), event: 'stop' }, { time: at(30_000), ...checkpoint });
  evidence.samples = createSamples();
  return evidence;
}

function createSamples(): Fields[] {
  const metrics =
    'dovegate_sessions{listener="support"} 0\ndovegate_upstreams{backend="mail1",state="leased"} 0\n';
  const one = {
    process: 'gate',
    pid: 10,
    rss: 90_000_000,
    fds: 40,
    threads: 11,
    cpu: 1,
    quiet: true,
    metrics,
  };
  return [0, 5000, 100_000, 105_000, 110_000].map((ms) => ({ ...one, at: started + ms }));
}

function only(of: readonly Fields[], what: string, is: (one: Fields) => boolean): Fields {
  const found = of.find(is);
  if (found === undefined) throw new Error(`there is no ${what}`);
  return found;
}

/** The record of the command with this number. */
export function recordOf({ records }: Evidence, event: string, number: number): Fields {
  const id = `01M${String(number).padStart(23, '0')}`;
  return only(records, `${event} ${number}`, (one) => one.event === event && one.id === id);
}

export function clientOf({ clients }: Evidence, number: number): Fields {
  return only(clients, `command ${number}`, ({ token }) => token === tokenOf(number));
}

export function arrivalOf({ backend }: Evidence, number: number): Fields {
  const isIt = ({ conn, handshake }: Fields): boolean => conn === number && handshake !== true;
  return only(backend, `line of command ${number}`, isIt);
}

/** Gives records their numbers, hashes and signatures. */
function seal(records: readonly Fields[]): string[] {
  let prev = '0'.repeat(64);
  return records.map((record, place) => {
    let fields: Fields = { seq: place + 1, ...record };
    if (record.event === 'checkpoint') {
      const head = {
        journal: 'f'.repeat(32),
        format: 1,
        program: 'dovegate 0.1.0',
        head: prev,
        oldest_seq: 1,
        key: rawKey,
      };
      const text = JSON.stringify({ ...fields, ...head, prev });
      const signature = sign(null, Buffer.from(text), privateKey).toString('base64');
      fields = { ...fields, ...head, signature };
    }
    const text = JSON.stringify({ ...fields, prev });
    const hash = createHash('sha256').update(text).digest('hex');
    prev = hash;
    return `${text.slice(0, -1)},"hash":"${hash}"}`;
  });
}

export function writeEvidence(folder: string, evidence: Evidence): void {
  const journal = join(folder, 'journal');
  mkdirSync(join(journal, 'policies'), { recursive: true });
  const lines = (objects: readonly unknown[]): string =>
    objects.map((one) => `${JSON.stringify(one)}\n`).join('');
  const put = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  for (const name of ['run', 'verify'] as const) put(`${name}.json`, JSON.stringify(evidence[name]));
  for (const name of ['policy', 'clients', 'backend', 'faults', 'samples'] as const)
    put(`${name}.jsonl`, lines(evidence[name]));
  put('gate.log', evidence.gateLog);
  put('hmac.key', `${hmacKey}\n`);
  put(join('journal', 'policies', `${policyHash}.yaml`), policyText);
  const sealed = seal(evidence.records);
  const written = evidence.afterSealing(sealed);
  const first = written.slice(0, 6).map((line) => `${line}\n`);
  writeFileSync(join(journal, '00000001.jsonl.gz'), gzipSync(first.join('')));
  const rest = written.slice(6).map((line) => `${line}\n`);
  writeFileSync(join(journal, '00000002.jsonl'), rest.join(''));
  const subject = `dovegate.audit.gate1.${'f'.repeat(32)}`;
  const blocks = [sealed.slice(0, 9), sealed.slice(9)];
  const messages = blocks.map((block, at) => ({
    seq: at + 1,
    subject,
    data: block.map((line) => `${line}\n`).join(''),
  }));
  put('stream.jsonl', lines(evidence.ofStream(messages)));
}
