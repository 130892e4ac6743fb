// The quota of many users over one session: node examples/many.mjs SOCKET USER...
import { CommandFailed, connect } from 'dovegate/client';

const [socket, ...users] = process.argv.slice(2);
const session = await connect({ socket });
try {
  // All commands are sent at once; the replies come back in their order.
  const replies = users.map((user) => session.run({ user, name: 'quota get', columns: 5 }));
  for (const [at, reply] of (await Promise.allSettled(replies)).entries()) {
    if (reply.status === 'fulfilled') console.log(`${users[at]}: ${reply.value[0]?.[2]}`);
    else if (reply.reason instanceof CommandFailed) console.log(`${users[at]}: ${reply.reason.code}`);
    else throw reply.reason;
  }
} finally {
  await session.close();
}
