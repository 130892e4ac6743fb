// A client for doveadm-vectors that does what PROTOCOL.md says, but for one fault: `node nearly-client.js SOCKET FAULT`. It announces
// minor 4. With every piece it reads the whole answer again.
import net from 'node:net';
import { text } from 'node:stream/consumers';
import * as z from 'zod';

const Todo = z.object({
  user: z.string(),
  name: z.string(),
  args: z.array(z.string()),
  debug: z.boolean(),
  verbose: z.boolean(),
});

const [path = '', fault = ''] = process.argv.slice(2);

/** The bytes of channel 0. */
function outputOf(bytes: string): string {
  let output = '';
  if (!bytes.startsWith('\xff')) {
    for (let rest = Buffer.from(bytes, 'latin1'); rest.length >= 5; ) {
      const end = 5 + rest.readUInt32BE(1);
      if (end > rest.length) break;
      if (rest[0] === 0) output += rest.subarray(5, end).toString('latin1');
      rest = rest.subarray(end);
    }
    return output;
  }
  // An escape whose last byte is not there yet is no data.
  const parts = bytes
    .slice(9)
    .replace(/\x03(?:\xfe\x00?)?$/, '')
    .split(/\x03\xfe\x00([^])/);
  for (let at = 0; at < parts.length; at += 2)
    if (at === 0 || parts[at - 1] === '\0') output += parts[at] ?? '';
  return fault === 'escape-is-data' ? output : output.replaceAll('\x03\xfe\x01', '\x03');
}

const letters: Record<string, string> = { 0: '\0', 1: '\x01', t: '\t', r: '\r', n: '\n' };

function cellOf(escaped: string): string | { hex: string } {
  const bytes = escaped.replaceAll(/\x01([01trn])/g, (_, letter: string) => letters[letter] ?? '');
  return fault !== 'all-hex' && /^[ -~\t\n]*$/.test(bytes)
    ? bytes
    : { hex: Buffer.from(bytes, 'latin1').toString('hex') };
}

function answerOf(output: string, isOver: boolean): object | undefined {
  let said = output;
  if (isOver && fault === 'status-without-end' && /^[^\n]*\n[^\n]+$/.test(said)) said += '\n';
  if (isOver && fault === 'end-is-success' && /^[^\n]*\n$/.test(said)) said += '+\n';
  const [, cells = '', status] = /^([^\n]*)\n([^\n]*)\n/.exec(said) ?? [];
  if (status === undefined) return isOver ? { broken: 'no status came' } : undefined;
  return { status, cells: cells === '' ? [] : cells.replace(/\t$/, '').split('\t').map(cellOf) };
}

const { user, name, args, debug, verbose } = Todo.parse(JSON.parse(await text(process.stdin)));
const socket = net.connect({ path });
socket.setEncoding('latin1').write('VERSION\tdoveadm-server\t1\t4\n');
let heard = '';
let isAsked = false;
const finish = (isOver: boolean): void => {
  const answer = answerOf(outputOf(heard.replace(/^.*\n\+\n/, '')), isOver);
  if (answer === undefined) return;
  console.log(JSON.stringify(answer));
  process.exit();
};
socket.on('data', (piece: string) => {
  heard += piece;
  if (isAsked) return finish(false);
  if (!/^.*\n\+\n/.test(heard)) return;
  isAsked = true;
  const both = fault === 'both-flags' && debug && verbose;
  const flags = both ? 'vD' : debug ? 'D' : verbose ? 'v' : '';
  socket.write(`${[flags, user, name, ...args].join('\t')}\n`);
});
socket.on('end', () => finish(true));
