// Plays one connection of the scripted Dovecot: its beginning (scripted-greeting.ts), then command after command.
// A script in the sense of a program: one driver, steps in order. The socket belongs to scripted-dovecot.ts, which also closes it.
import type { Socket } from 'node:net';
import type { ScriptedCommand, ScriptedConnection, SessionRecord } from '../gate/script.js';
import { type ByteReader, createByteReader } from './byte-reader.js';
import {
  createFramer,
  encodeLog,
  escapeCell,
  framingBetween,
  logChannel,
  replyChannel,
  splitCells,
  unescapeCell,
} from './framing.js';
import { resetSocket } from './reset-socket.js';
import { greet, type Pipe, type SessionPlan, write } from './scripted-greeting.js';

const lineBytesMax = 1024 * 1024;

/** Plays until one side has ended; then ends the socket. Rejects with what the script threw. */
export async function playSession(tcp: Socket, record: SessionRecord, plan: SessionPlan): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    if (tcp.destroyed) resolve();
    else tcp.once('close', () => resolve());
  });
  const clear: Pipe = {
    socket: tcp,
    reader: createByteReader(tcp, (chunk) => {
      record.inClear.push(chunk);
      plan.wake();
    }),
  };
  const outcome = await greet(clear, record, plan);
  if (outcome.next === 'end') outcome.pipe.socket.destroySoon();
  else await serveCommands(outcome.pipe, tcp, closed, outcome.clientMinor, record, plan);
}

async function serveCommands(
  pipe: Pipe,
  tcp: Socket,
  closed: Promise<void>,
  clientMinor: number,
  record: SessionRecord,
  plan: SessionPlan,
): Promise<void> {
  const framing = framingBetween(clientMinor, plan.minor);
  const frame = createFramer(framing);
  // Servers of minor 2 send log lines to everybody who is framed; later ones to clients of minor 3 and later only when asked.
  let hasLogChannel = framing !== 'none' && (clientMinor < 3 || plan.minor < 3);
  const { socket, reader } = pipe;
  const send = (channel: number, bytes: string | Buffer): Promise<void> =>
    write(socket, frame(channel, Buffer.from(bytes)));

  const connection: ScriptedConnection = {
    number: record.number,
    clientMinor,
    isSecure: record.isSecure,
    get hasLogChannel() {
      return hasLogChannel;
    },
    closed,
    row: (...cells) =>
      send(replyChannel, Buffer.concat(cells.flatMap((cell) => [escapeCell(cell), Buffer.from('\t')]))),
    body: (bytes) => send(replyChannel, bytes),
    async bigCell(bytes) {
      const piece = Buffer.alloc(8192, 'x\xe9~"\\ ', 'latin1');
      for (let left = bytes; left > 0 && !socket.destroyed; left -= piece.length) {
        await send(replyChannel, piece.subarray(0, Math.min(left, piece.length)));
      }
      await send(replyChannel, '\t');
    },
    async log(type, text) {
      if (hasLogChannel) await send(logChannel, encodeLog(type, text));
    },
    async status(line) {
      await send(replyChannel, `\n${line}\n`);
      if (plan.secondStatus && !line.startsWith('+')) await send(replyChannel, '\n-\n');
    },
    raw: (bytes) => write(socket, bytes),
    async readInput() {
      const input = await readDotInput(reader);
      if (input !== null) record.inputs.push(input);
      plan.wake();
      return input;
    },
    readSome: () => reader.readSome(),
    setStopped: (isStopped) => reader.setStopped(isStopped),
    end: () => socket.destroySoon(),
    reset: () => resetSocket(tcp),
  };
  plan.ready(connection);

  for (let line = await reader.readLine(); line !== null; line = await reader.readLine()) {
    const command = line.length <= lineBytesMax ? parseCommand(line, record.number) : 'broken';
    if (command === 'broken' || (command.flags.includes('x') && plan.minor < 3)) {
      await connection.log('error', 'doveadm: doveadm: doveadm client: No command given');
      break;
    }
    const isOption = command.user === '' && command.fields[0] === 'OPTION' && plan.minor >= 3;
    if (isOption && framing === 'none') break;
    if (isOption) {
      if (command.fields[1] === 'log-passthrough') hasLogChannel = true;
      continue;
    }
    await plan.answer(command, connection);
    if (socket.destroyed || socket.writableEnded) break;
  }
  socket.destroySoon();
}

/** Fewer than three fields, an unknown flag: Dovecot says so on the log channel and ends the connection. */
function parseCommand(line: Buffer, connection: number): ScriptedCommand | 'broken' {
  const raw = line.toString('latin1').split('\t');
  const [flags = '', ...rest] = raw;
  if (!/^[Dvx]*$/.test(flags)) return 'broken';
  const packed = flags.includes('x') ? rest.shift() : undefined;
  if (rest.length < 2) return 'broken';
  const [user = '', ...fields] = splitCells(Buffer.from(rest.join('\t'), 'latin1')).map(String);
  const extra =
    packed === undefined ? [] : splitCells(unescapeCell(Buffer.from(packed, 'latin1'))).map(String);
  return { flags, extra, user, fields, line, connection };
}

/**
 * Lines up to a line of one dot. A leading dot is dropped when more follows; the line end before the final dot is no data.
 * Null when the other side ends first.
 */
async function readDotInput(reader: ByteReader): Promise<Buffer | null> {
  const lines: Buffer[] = [];
  for (let line = await reader.readLine(); line !== null; line = await reader.readLine()) {
    if (line.toString('latin1') === '.') return Buffer.concat(lines).subarray(lines.length > 0 ? 1 : 0);
    lines.push(Buffer.from('\n'), line[0] === 0x2e ? line.subarray(1) : line);
  }
  return null;
}
