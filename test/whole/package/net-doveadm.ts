// An adapter for doveadm-vectors that sends and reads as Net::Doveadm does, for machines whose Perl does not have it. Its own adapter is in
// packages/doveadm-vectors/examples.
import net from 'node:net';
import { text } from 'node:stream/consumers';
import * as z from 'zod';
import { readAsNetDoveadm, stillWaiting } from '../../kit/plain/net-doveadm.js';

const Todo = z.object({
  user: z.string(),
  name: z.string(),
  args: z.array(z.string()),
  input: z.unknown().optional(),
  login: z.object({ user: z.string(), password: z.string() }),
});

function answerTo({ user, name, args, login }: z.infer<typeof Todo>): Promise<object> {
  return new Promise((resolve) => {
    const socket = net.connect({ path: process.argv[2] ?? '' });
    let greeting = '';
    let said = '';
    let waits: NodeJS.Timeout | undefined;
    const finish = (answer: object): void => {
      clearTimeout(waits);
      socket.destroy();
      resolve(answer);
    };
    const read = (): void => {
      const [answer] = readAsNetDoveadm(said);
      if (answer === undefined || answer[1] === stillWaiting) {
        // It waits for ever; that is seen when nothing follows.
        waits ??= setTimeout(() => finish({ waits: 'for another line' }), 2000);
        return;
      }
      const [row, status] = answer;
      if (status === '+') finish({ status, cells: row.replace(/\t$/, '').split('\t') });
      else finish({ status });
    };
    socket.write('VERSION\tdoveadm-server\t1\t0\n');
    socket.on('data', (piece: Buffer) => {
      if (greeting.endsWith('+\n')) {
        said += piece.toString();
        return read();
      }
      greeting += piece.toString();
      if (greeting === '-\n') {
        const plain = Buffer.from(`\0${login.user}\0${login.password}`).toString('base64');
        socket.write(`PLAIN\t${plain}\n`);
      } else if (greeting.endsWith('+\n'))
        socket.write(`\t${[user, ...name.split(' '), ...args].join('\t')}\n`);
      else finish({ broken: `login: ${greeting}` });
    });
    socket.on('end', () => finish({ broken: 'Empty read' }));
    socket.on('error', (error) => finish({ broken: error.message }));
  });
}

const todo = Todo.parse(JSON.parse(await text(process.stdin)));
const answer = todo.input === undefined ? await answerTo(todo) : { cannot: 'send a text after a command' };
console.log(JSON.stringify(answer));
