// What Node alone takes: a proxy without anything that dovegate is for. `node bare-proxy.js SOCKET TLS_PORT CA_FILE`: UNIX socket in, four
// reused TLS connections out, one command after the other on each, first come, first served. It reads no command, judges nothing,
// writes nothing down and has no limit; it takes the first chunk of a client for the handshake and each other one for a command, which
// holds for load.c only. It is a yardstick.
import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';

const [socketPath = '', port = '', caFile = ''] = process.argv.slice(2);
const authority = readFileSync(caFile);
const upstreamCount = 4;
const token = Buffer.from('\0doveadm\0secret').toString('base64');
const greeting = 'VERSION\tdoveadm-client\t1\t3\n+\n';

interface Command {
  readonly client: Socket;
  readonly line: Buffer;
}

const idle: Upstream[] = [];
const waiting: Command[] = [];

/** A connection to the backend, and the client that it works for. */
class Upstream {
  readonly #socket = connect({ port: Number(port), host: 'localhost', ca: authority });
  #greeted = '';
  /** Of the reply so far; a chunk may end within its status. */
  #tail = '';
  #client: Socket | undefined;

  begin(): void {
    this.#socket.setNoDelay(true);
    this.#socket.once('secureConnect', () =>
      this.#socket.write(`VERSION\tdoveadm-server\t1\t2\nPLAIN\t${token}\n`),
    );
    this.#socket.once('data', (chunk: Buffer) => this.#greet(chunk));
  }

  send({ client, line }: Command): void {
    this.#client = client;
    this.#tail = '';
    this.#socket.write(line);
  }

  #greet(chunk: Buffer): void {
    this.#greeted += chunk.toString('latin1');
    if (!/(^|\n)\+\n$/.test(this.#greeted)) {
      this.#socket.once('data', (more: Buffer) => this.#greet(more));
      return;
    }
    this.#socket.on('data', (more: Buffer) => this.#take(more));
    this.#rest();
  }

  #take(chunk: Buffer): void {
    assert.ok(this.#client, 'an answer without a question');
    // A reader that is slower than the backend holds it up.
    if (!this.#client.write(chunk)) {
      this.#socket.pause();
      this.#client.once('drain', () => this.#socket.resume());
    }
    this.#tail = `${this.#tail}${chunk.toString('latin1', Math.max(0, chunk.length - 3))}`.slice(-3);
    if (this.#tail === '\n+\n') this.#rest();
  }

  #rest(): void {
    this.#client = undefined;
    const next = waiting.shift();
    if (next === undefined) idle.push(this);
    else this.send(next);
  }
}

for (let n = 0; n < upstreamCount; n += 1) new Upstream().begin();

const server = createServer({ allowHalfOpen: true }, (client) => {
  let isGreeted = false;
  client.on('end', () => client.end());
  client.on('error', () => undefined);
  client.on('data', (chunk: Buffer) => {
    if (!isGreeted) {
      isGreeted = true;
      client.write(greeting);
      return;
    }
    const command = { client, line: chunk };
    const upstream = idle.pop();
    if (upstream === undefined) waiting.push(command);
    else upstream.send(command);
  });
});
server.listen(socketPath);
