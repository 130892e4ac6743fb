// Over TCP with STARTTLS, with a reason and a time limit: node examples/remote.mjs HOST PORT CA ACCOUNT PASSWORD_FILE USER
import { readFileSync } from 'node:fs';
import { connect } from 'dovegate/client';

const [host, port, ca, account, passwordFile, user] = process.argv.slice(2);
const session = await connect({
  host,
  port: Number(port),
  tls: 'starttls',
  ca: readFileSync(ca, 'utf8'),
  account,
  password: readFileSync(passwordFile, 'utf8').trimEnd(),
  onLog: ({ type, text }) => console.error(`${type}: ${text}`),
});
try {
  const rows = await session.run({
    user,
    name: 'mailbox list',
    // For dovegate's journal; Dovecot itself (2.3) knows no reasons.
    ...((session.serverMinor ?? 0) >= 3 && { reason: 'ticket 4711' }),
    // Ends the session when it is late: nothing else stops a server.
    signal: AbortSignal.timeout(30_000),
  });
  for (const [mailbox] of rows) console.log(mailbox);
} finally {
  await session.close();
}
