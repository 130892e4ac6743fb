import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  AuthDialogue,
  type AuthEvent,
  answerOf,
  encodeQuestion,
  isAskable,
  parseAuthReply,
  type QuestionKind,
  questionBytesMax,
  questionIdMax,
  versionLine,
} from '../../../src/gate/lookup/auth-protocol.js';
import { WireFault, type WireFaultCode } from '../../../src/host/ports/faults.js';
import { chunkings } from '../../kit/plain/chunkings.js';
import { countWork } from '../../kit/plain/work.js';
import { asExpected, authVectorsOf, bytesOf } from './captured.js';

const limits = { lineBytesMax: 64, fieldsMax: 8 };

function read(text: string): AuthEvent[] {
  const dialogue = new AuthDialogue(limits);
  const events = dialogue.push(Buffer.from(text, 'latin1'));
  assert.equal(dialogue.pendingBytes, 0);
  return events;
}

function assertFault(text: string, code: WireFaultCode): void {
  assert.throws(
    () => read(text),
    (fault) => fault instanceof WireFault && fault.code === code,
    JSON.stringify(text),
  );
}

const greeting = 'VERSION\t1\t4\nSPID\t25893\n';
const greeted = { kind: 'greeted' } as const;

void test('CRLF is LF, and a minor that nobody knows is one', () => {
  assert.deepEqual(read('VERSION\t1\t4\r\nSPID\t25893\r\nNOTFOUND\t3\r\n')[0], greeted);
  assert.deepEqual(read('VERSION\t1\t4294967295\nSPID\t1\n'), [greeted]);
});

void test('a first line that is no VERSION of major 1', () => {
  for (const line of [
    'VERSION\t2\t0',
    'VERSION\t1',
    'VERSION\t1\t',
    'VERSION\t1\t4294967296',
    'VERSION\t1\t4\t',
    'VERSION\tauth-master\t1\t1',
    'VERSION\tdoveadm-client\t1\t4',
    'version\t1\t1',
    'SPID\t1',
    '* OK [CAPABILITY IMAP4rev1] Dovecot ready.',
    '',
    '-',
  ]) {
    assertFault(`${line}\n`, 'bad-version');
  }
});

void test('the line behind VERSION must be SPID; else the listener is of the wrong type, and nothing else is read', () => {
  for (const line of [
    'MECH\tPLAIN\tplaintext',
    'SPID',
    'SPID\tx',
    'SPID\t1\t2',
    'CUID\t1',
    'NOTFOUND\t1',
    '',
  ]) {
    const dialogue = new AuthDialogue(limits);
    const events = dialogue.push(Buffer.from(`VERSION\t1\t2\n${line}\nSPID\t1\nDONE\nNOTFOUND\t1\npart`));
    assert.deepEqual(events, [{ kind: 'wrong-type' }], line);
    assert.deepEqual(dialogue.push(Buffer.alloc(1000)), []);
    assert.equal(dialogue.pendingBytes, 0);
  }
  // Without a mechanism the SASL protocol begins with SPID too.
  for (const line of ['CUID\t1', 'COOKIE\tab', 'DONE', 'MECH\tPLAIN\tplaintext']) {
    assert.deepEqual(read(`VERSION\t1\t2\nSPID\t25893\n${line}\nCUID\t1\n`), [
      greeted,
      { kind: 'wrong-type' },
    ]);
  }
  assert.equal(read(`${greeting}DONE\t1\t\n`)[1]?.kind, 'reply');
  assertFault(`${greeting}NOTFOUND\t1\nCUID\t1\n`, 'bad-status');
});

// bounds.lookupLineBytes
void test('faults', () => {
  assertFault(`${greeting}HELLO\t1\n`, 'bad-status');
  assertFault('x'.repeat(65), 'line-too-long');
  assertFault(`${greeting}PASS\t1\tuser=${'x'.repeat(64)}\n`, 'line-too-long');
  assertFault(`${greeting}PASS\t1\t${'\t'.repeat(30)}\n`, 'bad-status');
});

void test('a long reply in small chunks costs what it is long', () => {
  const workOf = (bytes: number): number => {
    const line = Buffer.from(`${greeting}PASS\t1\tnote=${'x'.repeat(bytes)}\n`);
    const dialogue = new AuthDialogue({ lineBytesMax: 1_000_000, fieldsMax: 8 });
    return countWork(() => {
      for (let at = 0; at < line.length; at += 1) dialogue.push(line.subarray(at, at + 1));
    });
  };
  const [short, long] = [workOf(10_000), workOf(80_000)];
  assert.ok(long < short * 12, `${short} and ${long}`);
});

const parse = (line: string): unknown =>
  asExpected(parseAuthReply(Buffer.from(line, 'latin1'), { fieldsMax: 4 }));

void test('fields are cut at TAB, then at the first =, then unescaped, and empty ones are left out', () => {
  assert.deepEqual(parse('PASS\t1\t\tnologin\tk\x01te\x011y=a=b\x01tc\t'), {
    reply: 'PASS',
    id: 1,
    fields: [['nologin'], ['k\te\x01y', { hex: '613d620963' }]],
  });
  // Undone as Dovecot does it: SOH and another byte is that byte, and a SOH at the end is nothing.
  assert.deepEqual(parse('USER\t1\ta\x01x\x01'), { reply: 'USER', id: 1, user: 'ax', fields: [] });
  assert.deepEqual(parse('USER\t1\ta\x010b'), { reply: 'USER', id: 1, user: { hex: '610062' }, fields: [] });
});

void test('what is no reply is a fault that holds nothing of it', () => {
  const lines = [
    '',
    'PASS',
    'PASS\t',
    'PASS\tx',
    'PASS\t-1',
    'PASS\t1.5',
    'PASS\t 1',
    'PASS\t1e3',
    'PASS\t4294967296',
    'PASS\t00000000001',
    'pass\t1\tuser=secret',
    'PASSWORD\t1',
    'USER\t1',
    'USER\t1\t',
    'USER\t1\t\tuid=secret',
    'MECH\tPLAIN',
    'CUID\t1',
    'PASS\t1\ta\tb\tc\td\tsecret',
    '\0PASS\t1',
  ];
  for (const line of lines) {
    assert.throws(
      () => parse(line),
      (fault) => {
        assert.ok(fault instanceof WireFault, line);
        assert.equal(fault.code, 'bad-status');
        assert.doesNotMatch(fault.message, /secret/);
        return true;
      },
      JSON.stringify(line),
    );
  }
});

const answer = (asked: QuestionKind, line: string): ReturnType<typeof answerOf> =>
  answerOf(asked, parseAuthReply(Buffer.from(line, 'latin1'), { fieldsMax: 64 }));

void test('a found user, with the fields by which he is routed', () => {
  assert.deepEqual(answer('pass', 'PASS\t1\tuser=Bob\tproxy\thost=mail2\thostip=192.0.2.2\tport=24245'), {
    kind: 'found',
    user: 'Bob',
    fields: new Map([
      ['proxy', ''],
      ['host', 'mail2'],
      ['hostip', '192.0.2.2'],
      ['port', '24245'],
    ]),
  });
  assert.deepEqual(answer('user', 'USER\t1\tbob@example.org\tuid=1\thome=/srv/bob'), {
    kind: 'found',
    user: 'bob@example.org',
    fields: new Map(),
  });
});

void test('passwords, and all fields that are not known, are gone', () => {
  const found = answer(
    'pass',
    'PASS\t1\tuser=a\tpass=hop-secret\tproxy=y\tmaster=admin\tforward_token=hop-secret\tPASS=hop-secret\tnote=hop-secret',
  );
  assert.doesNotMatch(inspect(found, { depth: 9 }), /hop-secret|686f702d/);
  assert.deepEqual(found, { kind: 'found', user: 'a', fields: new Map([['proxy', 'y']]) });
});

void test('not found, and failures', () => {
  assert.deepEqual(answer('pass', 'NOTFOUND\t1'), { kind: 'not-found' });
  assert.deepEqual(answer('user', 'FAIL\t1\treason=db down'), { kind: 'failed', code: 'auth-failed' });
  assert.deepEqual(answer('user', 'FAIL\t1'), { kind: 'failed', code: 'auth-failed' });
  assert.deepEqual(answer('pass', "FAIL\t1\treason=Configured passdbs don't support credentials lookups"), {
    kind: 'failed',
    code: 'passdb-unsupported',
  });
});

// bounds.lookupQuestionBytes
void test('names that cannot be asked for', () => {
  const cases: [string, boolean][] = [
    ['alice@example.org', true],
    ['al ice', true],
    ['a+b/c%u"', true],
    ['', false],
    ['alice@example.org\0junk', false], // the service would answer for what is before the NUL
    ['alice\tservice=imap', false],
    ['alice\nPASS\t2\tbob\tservice=doveadm', false],
    ['alice\r', false],
    ['alice\x01t', false],
    ['alice\x7f', false],
    ['alice*master', false], // the customary separator of master users
    ['alice\ud800', false],
    ['a'.repeat(2000), false],
  ];
  for (const [user, askable] of cases) {
    assert.equal(isAskable(user), askable, JSON.stringify(user));
    const encode = (): Buffer => encodeQuestion('user', 1, user);
    if (askable) assert.match(encode().toString(), /^USER\t1\t[^\t\n]+\tservice=doveadm\n$/);
    else assert.throws(encode, RangeError);
  }
});

void test('no line is longer than the service takes, and the longest is exactly that long', () => {
  const longest = (letter: string): string => {
    let name = letter;
    while (isAskable(name + letter)) name += letter;
    return name;
  };
  for (const letter of ['a', 'ü', '€']) {
    const line = encodeQuestion('pass', questionIdMax, longest(letter));
    assert.ok(line.length <= questionBytesMax && line.length > questionBytesMax - letter.length * 3, letter);
  }
  assert.equal(encodeQuestion('pass', questionIdMax, longest('a')).length, 1024);
});

void test('ids are whole numbers of 32 bits', () => {
  for (const id of [-1, 0.5, Number.NaN, questionIdMax + 1]) {
    assert.throws(() => encodeQuestion('pass', id, 'alice'), RangeError);
  }
});

// Every captured session with an auth service, read whole, byte by byte and cut in two at every byte: always the same replies.

function readChunks(chunks: readonly Buffer[]): AuthEvent[] {
  const dialogue = new AuthDialogue({ lineBytesMax: 65_536, fieldsMax: 256 });
  const events = chunks.flatMap((chunk) => dialogue.push(chunk));
  assert.equal(dialogue.pendingBytes, 0);
  return events;
}

const servers = authVectorsOf('server');
const clients = authVectorsOf('client');

void test('what real auth services sent is read as it was written down', () => {
  assert.equal(servers.length, 242);
  let cuts = 0;
  for (const vector of servers) {
    const { bytes, boundaries } = bytesOf(vector, 's2c');
    const [, spid, ...more] = vector.expect.handshake ?? [];
    for (const { name, chunks } of chunkings(bytes, boundaries)) {
      const [first, ...rest] = readChunks(chunks);
      const where = `${vector.name}, ${name}`;
      if (spid?.[0] === 'SPID') {
        assert.deepEqual(first, { kind: 'greeted' }, where);
        assert.deepEqual(more, []);
      } else {
        assert.deepEqual(first, { kind: 'wrong-type' }, where);
        assert.match(vector.name, /wrong-type|custom-name/);
      }
      const replies = rest.map((event) => (event.kind === 'reply' ? asExpected(event.reply) : event));
      assert.deepEqual(replies, vector.expect.replies, where);
      cuts += 1;
    }
  }
  assert.ok(cuts > 20_000, `${cuts} cuttings`);
});

void test('the greeting of a listener of the wrong type is found out in every release that has one', () => {
  const wrong = servers.filter(
    (vector) => readChunks([bytesOf(vector, 's2c').bytes])[0]?.kind === 'wrong-type',
  );
  const releases = new Set(wrong.map(({ dovecot }) => dovecot));
  assert.deepEqual([...releases], ['2.3.13', '2.3.19.1', '2.4.1', '2.4.5']);
});

void test('what a recording service answered to real programs is what they printed', () => {
  assert.equal(clients.length, 20);
  for (const vector of clients) {
    const { bytes, boundaries } = bytesOf(vector, 's2c');
    for (const { name, chunks } of chunkings(bytes, boundaries)) {
      const texts = readChunks(chunks).flatMap((event) => {
        if (event.kind !== 'reply') return [];
        const { user, fields = [] } = asExpected(event.reply);
        return [user, ...fields.flat()].filter((text) => typeof text === 'string');
      });
      for (const text of texts) {
        // 2.3 filters what it lists.
        if (text === 'alice@example.org' && vector.name.startsWith('authsvc-cli-list-2.3')) continue;
        assert.ok(vector.expect.stdout?.includes(text), `${vector.name}, ${name}: ${text}`);
      }
    }
  }
});

void test('our questions are those of the real programs, but for what they add', () => {
  let compared = 0;
  for (const vector of clients) {
    const sent = bytesOf(vector, 'c2s').bytes.toString();
    const [version, question, ...more] = sent.split(/\r?\n/);
    const [command, id, user] = question?.split('\t') ?? [];
    if (command !== 'PASS' && command !== 'USER') continue;
    assert.deepEqual(more, ['']);
    const kind = command === 'PASS' ? 'pass' : 'user';
    const own = encodeQuestion(kind, Number(id), user ?? '').toString();
    const theirs = question?.replace('protocol=', 'service=').replace(/\t(lip|rip|rport|debug).*/, '\n');
    assert.equal(own, theirs, vector.name);
    assert.match(version ?? '', /^VERSION\t1\t[0-4]$/);
    compared += 1;
  }
  assert.equal(compared, 8);
  assert.equal(versionLine, 'VERSION\t1\t1\n');
});
