// The adapter of a client library in Node, @dovegate/client: reads what to do as JSON, prints what came of it as JSON.
//
//   npx doveadm-vectors client -- node dovegate-client.mjs {socket}
import { text } from 'node:stream/consumers';
import { CommandFailed, connect, SessionFault } from '@dovegate/client';

const { user, name, args, debug, verbose, input, login } = JSON.parse(await text(process.stdin));
const bytes = (value) => (value?.hex === undefined ? value : Buffer.from(value.hex, 'hex'));
const shown = (cell) =>
  Buffer.from(cell.toString()).equals(cell) ? cell.toString() : { hex: cell.toString('hex') };
const logs = [];
const cells = [];

function statusOf({ code, referral }) {
  return referral === undefined ? `-${code}` : `-${code} ${referral.user}@${referral.host}`;
}

async function run() {
  const session = await connect({
    socket: process.argv[2],
    ...login,
    onLog: (line) => logs.push({ type: line.type, text: line.text }),
  });
  try {
    const command = { user, name, args, debug, verbose, columns: 1 };
    const pieces = [];
    const all = session.cells({ ...command, ...(input !== undefined && { input: bytes(input) }) });
    for await (const { bytes: piece, endsCell } of all) {
      pieces.push(piece);
      if (endsCell) cells.push(shown(Buffer.concat(pieces.splice(0))));
    }
    return { cells, status: '+', logs };
  } finally {
    await session.close();
  }
}

try {
  console.log(JSON.stringify(await run()));
} catch (fault) {
  if (fault instanceof CommandFailed) console.log(JSON.stringify({ cells, status: statusOf(fault), logs }));
  else if (fault instanceof SessionFault) console.log(JSON.stringify({ broken: fault.message }));
  else throw fault;
}
