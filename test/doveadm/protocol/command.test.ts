import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  type CommandLine,
  encodeCommandLine,
  encodeOption,
  parseCommandLine,
} from '../../../src/doveadm/protocol/command.js';
import { bounds } from '../../../src/host/bounds/bounds.js';

const fieldsMax = 20;

function parse(text: string | Buffer): CommandLine {
  const line = parseCommandLine(typeof text === 'string' ? Buffer.from(text) : text, fieldsMax);
  assert.equal(line.kind, 'command');
  assert.ok(line.kind === 'command');
  return line.command;
}

const plain = {
  debug: false,
  verbose: false,
  proxyTtl: undefined,
  user: 'alice@example.org',
  words: ['quota get', '-u', 'alice@example.org', '--'],
  fault: undefined,
  named: undefined,
};

const short = { ...plain, user: 'u', words: ['c'] };

void test('the line of a 2.3 client', () => {
  assert.deepEqual(parse('\talice@example.org\tquota get\t-u\talice@example.org\t--'), plain);
});

void test('the line of a 2.4 client', () => {
  const command = parse('x\tproxy-ttl=5\talice@example.org\tquota get\t-u\talice@example.org\t--');
  assert.deepEqual(command, { ...plain, proxyTtl: 5 });
});

void test('flags', () => {
  assert.deepEqual(parse('D\tu\tc'), { ...short, debug: true });
  assert.deepEqual(parse('vx\t\tu\tc'), { ...short, verbose: true });
  assert.deepEqual(parse('DvD\t\tc'), { ...short, debug: true, verbose: true, user: '' });
});

void test('extra fields are a list of their own', () => {
  assert.deepEqual(parse('x\tproxy-ttl=3\x01tforward=a=b\tu\tc'), { ...short, proxyTtl: 3 });
  assert.equal(parse('x\tforward=proxy-ttl=3\tu\tc').proxyTtl, undefined);
  assert.equal(parse('x\tforward=a\x011tproxy-ttl=3\tu\tc').proxyTtl, undefined);
  assert.deepEqual(parse('x\tsomething=else\tu\tc'), short);
  for (const ttl of [0, 4_294_967_295]) assert.equal(parse(`x\tproxy-ttl=${ttl}\tu\tc`).proxyTtl, ttl);
  assert.equal(parse('x\txproxy-ttl=1\tu\tc').proxyTtl, undefined);
});

void test('fields are unescaped', () => {
  const { words } = parse('\tu\tsearch\tsubject\ta b\x01tc\x011d');
  assert.deepEqual(words, ['search', 'subject', 'a b\tc\x01d']);
});

void test('bytes that are no UTF-8 are told', () => {
  const command = parse(Buffer.from([0x09, 0x61, 0xff, 0x09, 0x63]));
  assert.equal(command.fault, 'not-utf8');
  assert.equal(command.user, 'a\ufffd');
  assert.equal(parse('\t\u00fc\tc').fault, undefined);
  assert.equal(parse('\t\ufeffu\tc').user, '\ufeffu');
});

void test('trap 13: an option is no command, whatever its user and flags say', () => {
  const option = (text: string) => parseCommandLine(Buffer.from(text), fieldsMax);
  assert.deepEqual(option('\t\tOPTION\tlog-passthrough'), { kind: 'option', name: 'log-passthrough' });
  assert.deepEqual(option('x\tproxy-ttl=5\tu\tOPTION\ta\x01tb\tmore'), { kind: 'option', name: 'a\tb' });
  assert.deepEqual(option('\t\tOPTION'), { kind: 'option', name: '' });
  assert.equal(option('\t\toption\tlog-passthrough').kind, 'command');
});

function isBroken(text: string, code: string, message?: string): void {
  const fault = { name: 'WireFault', code, ...(message !== undefined && { message }) };
  assert.throws(() => parseCommandLine(Buffer.from(text), fieldsMax), fault, JSON.stringify(text));
}

void test('broken lines', () => {
  const few = 'a line with too few fields';
  const ttl = 'an extra field proxy-ttl that is no number, or twice';
  for (const [text, message] of [
    ['', few],
    ['\t', few],
    ['\tuser', few],
    ['x\tproxy-ttl=5\tuser', few],
    ['PLAIN\tAGRvdmVhZG0Ac2VjcmV0', 'an unknown flag'],
    ['q\tuser\tcommand', 'an unknown flag'],
    ['d\tuser\tcommand', 'an unknown flag'],
    [' \tuser\tcommand', 'an unknown flag'],
    ['xx\ta\tb\tvictim\tfetch', 'flag x twice'],
    ['xvx\ta\tb\tvictim\tfetch', 'flag x twice'],
    ['x\tproxy-ttl=1\x01110\tuser\tcommand', ttl],
    ['x\tproxy-ttl=\tuser\tcommand', ttl],
    ['x\tproxy-ttl=-1\tuser\tcommand', ttl],
    ['x\tproxy-ttl=1x\tuser\tcommand', ttl],
    ['x\tproxy-ttl=a1\tuser\tcommand', ttl],
    ['x\tproxy-ttl=4294967296\tuser\tcommand', ttl],
    ['x\tproxy-ttl=3\x01tproxy-ttl=4\tuser\tcommand', ttl],
  ] as const) {
    isBroken(text, 'bad-command', message);
  }
  for (const text of ['\tuser\x01\tcommand', '\tuser\tfe\x01Xtch', 'x\ta\x011\tuser\tcommand'])
    isBroken(text, 'bad-escape');
});

// bounds.commandFields
void test('as many fields as the limit says', () => {
  const line = (fields: number): Buffer => Buffer.from(`\tuser${'\tw'.repeat(fields - 2)}`);
  assert.equal(parse(line(20)).words.length, 18);
  const { words, fault } = parse(line(21));
  assert.deepEqual([words.length, fault], [18, 'too-many-fields']);
  const faultOf = (fields: number) => {
    const read = parseCommandLine(line(fields));
    return read.kind === 'command' ? read.command.fault : read.kind;
  };
  assert.equal(faultOf(bounds.commandFields), undefined);
  assert.equal(faultOf(bounds.commandFields + 1), 'too-many-fields');
  const entries = (count: number): Buffer => Buffer.from(`x\t${'a\x01t'.repeat(count - 1)}a\tu\tc`);
  assert.equal(parse(entries(20)).user, 'u');
  assert.equal(parse(entries(21)).fault, 'too-many-fields');
});

void test('written as the real clients write it', () => {
  const line = { user: 'alice@example.org', name: 'quota get', args: ['-u', 'alice@example.org', '--'] };
  const wire = '\talice@example.org\tquota get\t-u\talice@example.org\t--\n';
  assert.equal(encodeCommandLine(line).toString(), wire);
  const flagged = 'Dx\tproxy-ttl=5\talice@example.org\tquota get\t-u\talice@example.org\t--\n';
  assert.equal(encodeCommandLine({ ...line, debug: true, verbose: true, proxyTtl: 5 }).toString(), flagged);
  assert.equal(encodeCommandLine({ user: 'u', name: 'c', args: [], verbose: true }).toString(), 'v\tu\tc\n');
  assert.equal(encodeOption('log-passthrough').toString(), '\t\tOPTION\tlog-passthrough\n');
});

void test('what would arrive as something else is not written', () => {
  const line = { user: 'u', name: 'c', args: ['a'] };
  for (const bad of [
    { ...line, user: 'victim\0@allowed.example' },
    { ...line, name: 'c\0' },
    { ...line, args: ['\0'] },
    { ...line, args: ['\ud800'] },
    { ...line, user: '\udc00x' },
  ]) {
    const message = 'a field that cannot be sent as it is';
    assert.throws(() => encodeCommandLine(bad), { name: 'WireFault', code: 'bad-command', message });
  }
  const message = 'OPTION is no command';
  assert.throws(() => encodeCommandLine({ ...line, name: 'OPTION' }), { code: 'bad-command', message });
  const asArgument = encodeCommandLine({ user: 'OPTION', name: 'c', args: ['OPTION'] });
  assert.equal(asArgument.toString(), '\tOPTION\tc\tOPTION\n');
  assert.equal(encodeCommandLine({ ...line, args: ['😀'] }).toString(), '\tu\tc\t😀\n');
  for (const proxyTtl of [1.5, -1, 4_294_967_296])
    assert.throws(() => encodeCommandLine({ ...line, proxyTtl }), { message: 'proxyTtl is out of range' });
  for (const proxyTtl of [0, 4_294_967_295])
    assert.match(
      encodeCommandLine({ ...line, proxyTtl }).toString(),
      new RegExp(`^x\tproxy-ttl=${proxyTtl}\tu\tc\ta`),
    );
  assert.throws(() => encodeOption('\0'), { code: 'bad-command' });
});

void test('round trip: what is written is read', () => {
  const text = fc
    .oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('\x01', '\t', '\r', '\n', 't', ' ') }),
    )
    .filter((value) => !value.includes('\0'));
  fc.assert(
    fc.property(
      fc.record({
        debug: fc.boolean(),
        verbose: fc.boolean(),
        proxyTtl: fc.option(fc.nat(), { nil: undefined }),
        user: text,
        name: text.filter((name) => name !== 'OPTION'),
        args: fc.array(text, { maxLength: 6 }),
      }),
      (command) => {
        const line = encodeCommandLine(command);
        assert.equal(line.indexOf(0x0a), line.length - 1);
        const { name, args, ...rest } = command;
        const verbose = command.verbose && !command.debug;
        assert.deepEqual(parse(line.subarray(0, -1)), { ...plain, ...rest, verbose, words: [name, ...args] });
      },
    ),
  );
});

void test('trap 32: fields are C strings to the server, so a NUL is refused in every place', () => {
  for (const nul of ['\0', '\x010']) {
    const users = [`\tvictim${nul}@allowed.example\tc`, `\tu\tfetch${nul}\ttext`, `\tu\tc\t${nul}`];
    for (const text of [...users, `${nul}\tu\tc`, `x\tproxy-ttl=5${nul}\tu\tc`])
      isBroken(text, 'bad-command', 'a field with a NUL');
  }
});

void test('trap 32: another spelling of a name is refused, not repaired', () => {
  for (const name of ['fe\x01tch', 'fe\x01Xtch', 'fetch\x01']) {
    const parsed = (): string[] => parse(`\tu\t${name}`).words;
    if (name === 'fe\x01tch') assert.deepEqual(parsed(), ['fe\tch']);
    else assert.throws(parsed, { code: 'bad-escape' });
  }
});
