// A mail as bytes, in pieces, into stdout: node examples/export.mjs SOCKET USER MAILBOX UID > mail
import { once } from 'node:events';
import { connect } from 'dovegate/client';

const [socket, user, mailbox, uid] = process.argv.slice(2);
const session = await connect({ socket });
try {
  const cells = session.cells({ user, name: 'fetch', args: ['--', 'text', 'mailbox', mailbox, 'uid', uid] });
  for await (const { bytes } of cells) {
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
  }
} finally {
  await session.close();
}
