// Bodies of requests: what Dovecot takes, what it answers with 400, and what is ours to limit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DecodedRequest, RequestDecoder, SpanReader } from '../../../src/doveadm/http-api/request.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { chunkings } from '../../kit/plain/chunkings.js';

function decode(chunks: readonly Buffer[], commandsMax = 3): DecodedRequest {
  const decoder = new RequestDecoder({ commandsMax });
  for (const chunk of chunks) decoder.push(chunk);
  return decoder.end();
}

function decodeText(text: string | Buffer): DecodedRequest {
  return decode([Buffer.from(text)]);
}

// bounds.jsonDepth
void test('commands, parameters in their order and as they are, tags', () => {
  const text =
    '[["mailbox status",{"user":"a","user":1e3,"__proto__":null,"f":["x",""],"g":[],"h":["x",1],"i":{"a":[]},"j":[["x"]]},""],' +
    '["q",{"file":["x"],"file":{"file":"y"},"file":["a",1,"b"],"z":false,"file":"ab"},"t\\"\\u00e9\\n"],["file",{"x":"file"},"file"]]';
  for (const { name, chunks } of chunkings(Buffer.from(text))) {
    const read = decode(chunks);
    if (text.includes('[["x"]]')) {
      const tooDeep = { kind: 'bad', text: 'JSON parse error: Data is nested too deep (max 4 levels)' };
      assert.deepEqual(read, tooDeep, name);
    }
  }
  const shallow = text.replaceAll('[["x"]]', 'true').replace('{"a":[]}', '{"a":1}');
  for (const { name, chunks } of chunkings(Buffer.from(shallow))) {
    assert.deepEqual(
      decode(chunks),
      {
        kind: 'request',
        commands: [
          {
            name: 'mailbox status',
            parameters: [
              { name: 'user', value: { kind: 'string', text: 'a' } },
              { name: 'user', value: { kind: 'number', text: '1e3' } },
              { name: '__proto__', value: { kind: 'null' } },
              { name: 'f', value: { kind: 'list', items: ['x', ''] } },
              { name: 'g', value: { kind: 'list', items: [] } },
              { name: 'h', value: { kind: 'other', what: 'list' } },
              { name: 'i', value: { kind: 'other', what: 'object' } },
              { name: 'j', value: { kind: 'true' } },
            ],
            tag: '',
          },
          {
            name: 'q',
            parameters: [
              { name: 'file', value: { kind: 'list', items: ['x'] } },
              { name: 'file', value: { kind: 'other', what: 'object' } },
              { name: 'file', value: { kind: 'other', what: 'list' } },
              { name: 'z', value: { kind: 'false' } },
              {
                name: 'file',
                value: { kind: 'span', from: shallow.indexOf('ab"'), to: shallow.indexOf('ab"') + 2 },
              },
            ],
            tag: 't"\u00e9\n',
          },
          { name: 'file', parameters: [{ name: 'x', value: { kind: 'string', text: 'file' } }], tag: 'file' },
        ],
      },
      name,
    );
  }
});

const bad: readonly (readonly [body: string, text: string])[] = [
  ['{"a":1}', 'JSON parse error: Root is not an array'],
  ['"a"', 'JSON parse error: Root is not an array'],
  ['1', 'JSON parse error: Root is not an array'],
  ['', 'JSON parse error: JSON text has no value'],
  ['["x"]', 'Command must be a JSON array'],
  ['[{}]', 'Command must be a JSON array'],
  ['[null]', 'Command must be a JSON array'],
  ['[[]]', 'Command name must be a string'],
  ['[[1,{},"t"]]', 'Command name must be a string'],
  ['[[["a"],{},"t"]]', 'Command name must be a string'],
  ['[["a"]]', 'Parameters must be contained in a JSON object'],
  ['[["a",[],"t"]]', 'Parameters must be contained in a JSON object'],
  ['[["a","b","t"]]', 'Parameters must be contained in a JSON object'],
  ['[["a",{}]]', 'Command ID must be a string'],
  ['[["a",{},1]]', 'Command ID must be a string'],
  ['[["a",{},{}]]', 'Command ID must be a string'],
  ['[["a",{},"t","x"]]', 'Unexpected JSON element at end of command'],
  ['[["a",{},"t",[]]]', 'Unexpected JSON element at end of command'],
  ['[["a",{},"t"]] x', 'JSON parse error: Spurious data at end of JSON text'],
  ['[["a",{},"t"', 'JSON parse error: Encountered end of input inside array'],
  ['[["a",{},"t"],["a"', 'JSON parse error: Encountered end of input inside array'],
  ['[["a",{"b":"\\u0000"},"t"]]', 'JSON parse error: String contains escaped NUL character'],
  [`[${'["a",{},"t"],'.repeat(3)}["a",{},"t"]]`, 'A request has at most 3 commands'],
  [`[["a",{"b":"${'x'.repeat(65_537)}"},"t"]]`, 'JSON parse error: Excessive string size (> 65536)'],
  [`[["a",{"b":[${'"",'.repeat(70_000)}""]},"t"]]`, 'The request holds too much besides its file'],
  [`[["a",{"b":[${'1,'.repeat(70_000)}1]},"t"]]`, 'The request holds too much besides its file'],
  [`[["a",{"b":{${'"c":1,'.repeat(35_000)}"c":1}},"t"]]`, 'The request holds too much besides its file'],
];

// bounds.jsonStringBytes, bounds.jsonHeldBytes, bounds.httpCommands
void test('what Dovecot answers with 400, and our limits', () => {
  for (const [body, text] of bad) {
    const bytes = Buffer.from(body);
    assert.deepEqual(decode([bytes]), { kind: 'bad', text }, body.slice(0, 80));
    if (bytes.length > 1000) continue;
    for (const { name, chunks } of chunkings(bytes))
      assert.deepEqual(decode(chunks), { kind: 'bad', text }, name);
  }
  assert.deepEqual(decodeText('[]'), { kind: 'request', commands: [] });
});

// bounds.jsonHeldBytes
void test('a request of just the limit is taken, one character more is not', () => {
  // Each value counts 64, and twice its length.
  const held = (text: string): number => {
    const decoder = new RequestDecoder({ commandsMax: 1 });
    assert.equal(decoder.push(Buffer.from(text)), undefined, text);
    return decoder.pendingBytes;
  };
  assert.equal(held('[["ab",{"cde":"fghi","j":1.5,"k":true},"l"]]'), 8 * 64 + 2 * 15);
  assert.equal(held('[["",{"":"abc'), 2 * 64 + 3);
  const items = '"",'.repeat(bounds.jsonHeldBytes / 64 - 5);
  for (const [tag, kind] of [
    ['', 'request'],
    ['x', 'bad'],
  ] as const)
    assert.equal(decodeText(`[["",{"":[${items}""]},"${tag}"]]`).kind, kind);
});

void test('the error is known as soon as its byte came', () => {
  const decoder = new RequestDecoder({ commandsMax: 1 });
  assert.equal(decoder.push(Buffer.from('[[')), undefined);
  assert.equal(decoder.push(Buffer.from('1')), undefined);
  assert.equal(decoder.push(Buffer.from(',')), 'Command name must be a string');
  assert.equal(decoder.push(Buffer.from('"a",{},"t"]]')), 'Command name must be a string');
  assert.deepEqual(decoder.end(), { kind: 'bad', text: 'Command name must be a string' });
});

void test('a file is a place in the body, whatever its size; its name may be escaped', () => {
  const mail = `Subject: \u00e9 "\\\r\n${'\u{1f600}'.repeat(30_000)}`;
  const body = Buffer.from(`[["save",{"\\u0066ile":${JSON.stringify(mail)},"user":"a"},"t"]]`);
  const read = decode([body]);
  assert.equal(read.kind, 'request');
  const [file] = read.kind === 'request' ? (read.commands[0]?.parameters ?? []) : [];
  assert.ok(file?.value.kind === 'span');
  const { from, to } = file.value;
  assert.equal(new SpanReader().push(body.subarray(from, to)).toString(), mail);
});

void test('a file of many megabytes is not held', () => {
  const decoder = new RequestDecoder({ commandsMax: 1 });
  const line = 'Subject: gr\u00fc\u00dfe \\u00e9 \\ud83d\\ude00 and text\\r\\n';
  const chunk = Buffer.from(line.repeat(1000));
  const begin = '[["save",{"file":"';
  decoder.push(Buffer.from(begin));
  const held = decoder.pendingBytes;
  for (let count = 0; count < 500; count += 1) {
    decoder.push(chunk);
    assert.equal(decoder.pendingBytes, held);
  }
  decoder.push(Buffer.from('"},"t"]]'));
  const read = decoder.end();
  const value = { kind: 'span', from: begin.length, to: begin.length + 500 * chunk.length };
  assert.deepEqual(read, {
    kind: 'request',
    commands: [{ name: 'save', parameters: [{ name: 'file', value }], tag: 't' }],
  });
});

void test('a file that is no UTF-8 is refused, and so is one with a NUL', () => {
  const broken = Buffer.concat([
    Buffer.from('[["save",{"file":"'),
    Buffer.of(0xc3, 0x22),
    Buffer.from('},"t"]]'),
  ]);
  assert.deepEqual(decode([broken]), { kind: 'bad', text: 'JSON parse error: Invalid UTF-8 character' });
  assert.equal(decodeText('[["save",{"file":"\\u0000"},"t"]]').kind, 'bad');
});
