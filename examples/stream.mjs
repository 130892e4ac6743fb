// All subjects of a mailbox, however many there are: node examples/stream.mjs SOCKET USER MAILBOX
import { connect } from 'dovegate/client';

const [socket, user, mailbox] = process.argv.slice(2);
const session = await connect({ socket });
try {
  // Rows come while the server finds them. Who takes them slowly slows the server; nothing piles up here.
  const rows = session.stream({
    user,
    name: 'fetch',
    args: ['--', 'uid hdr.subject', 'mailbox', mailbox, 'all'],
    columns: 2,
  });
  for await (const [uid, subject] of rows) console.log(uid, subject);
} finally {
  await session.close();
}
