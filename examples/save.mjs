// Stores a mail from a file: node examples/save.mjs SOCKET USER MAILBOX FILE
import { createReadStream } from 'node:fs';
import { CommandFailed, connect } from 'dovegate/client';

const [socket, user, mailbox, file] = process.argv.slice(2);
const session = await connect({ socket });
try {
  await session.run({ user, name: 'save', args: ['-m', mailbox, '--'], input: createReadStream(file) });
  console.log('stored');
} catch (fault) {
  if (!(fault instanceof CommandFailed)) throw fault;
  // The code is Dovecot's word; the log lines say why.
  console.log(`refused: ${fault.code}`);
  for (const { type, text } of fault.logs) console.log(`${type}: ${text}`);
  process.exitCode = 1;
} finally {
  await session.close();
}
