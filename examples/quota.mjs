// The quota of a user: node examples/quota.mjs SOCKET USER
import { connect } from 'dovegate/client';

const [socket, user] = process.argv.slice(2);
const session = await connect({ socket });
try {
  // A row of `quota get` has 5 cells. Nothing on the wire says so.
  const rows = await session.run({ user, name: 'quota get', columns: 5 });
  for (const [root, type, value, limit] of rows) console.log(`${root} ${type}: ${value} of ${limit}`);
} finally {
  await session.close();
}
