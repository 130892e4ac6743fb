// What a NATS server sends: through our bounded intake, and then through the library's own parser, which must not fail on what is left.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { createIntake, IntakeFault, intakeLimits } from '../../../../src/evidence/nats/intake.js';
import { parseLine } from '../../../../src/host/values/values.js';
import { bytesOf, type Target } from '../campaign/target.js';

interface Dispatched {
  readonly kind: number;
  readonly data?: Uint8Array;
  /** Of a message: the bytes of its headers. */
  readonly msg?: { readonly hdr: number };
}

// The library is a package of the optional one.
const require = createRequire(createRequire(import.meta.url).resolve('@nats-io/transport-node'));
interface Library {
  readonly Parser: new (to: { push(event: Dispatched): void }) => { parse(bytes: Uint8Array): void };
  readonly MsgHdrsImpl: { decode(bytes: Uint8Array): { keys(): string[] } };
}
const { Parser, MsgHdrsImpl }: Library = await import(
  pathToFileURL(require.resolve('@nats-io/nats-core/internal')).href
);

const info =
  'INFO {"server_id":"X","version":"2.10.1","proto":1,"max_payload":1048576,"tls_required":true,"headers":true,"nonce":"abc"}\r\n';
const hashText = '9a'.repeat(32);
const block = `NATS/1.0\r\nNats-Msg-Id: x:1:${hashText}\r\nDovegate-Seq: 1-2\r\nDovegate-Head: ${hashText}\r\n\r\n`;
const hmsg = (headers: string, body: string): string =>
  `HMSG dovegate.audit.gate1.${'ab'.repeat(16)} 1 $JS.ACK.x ${headers.length} ${headers.length + body.length}\r\n${headers}${body}\r\n`;

const seeds = bytesOf([
  `${info}PING\r\nPONG\r\n+OK\r\n`,
  `${info}MSG _INBOX.x 1 5\r\nhello\r\nPING\r\n`,
  `MSG _INBOX.x 1  reply 0\r\n\r\nMSG a 22 3\r\n\r\n\r\r\n`,
  hmsg(block, '{"seq":1}\n{"seq":2}\n'),
  hmsg('NATS/1.0 503\r\n\r\n', ''),
  `${hmsg('NATS/1.0 100 Idle Heartbeat\r\nX: a\rb\r\nY\xff: c\r\n\r\n', '')}-ERR 'Permissions Violation'\r\n`,
]);

export const natsTargets: readonly Target[] = [
  {
    name: 'nats',
    what: 'a NATS server: its lines and messages, through our bounds and then the library',
    bytesMax: 2048,
    seeds: () => seeds,
    tokens: bytesOf([
      '\r\n',
      '\n',
      '\r',
      ' ',
      '\t',
      'MSG ',
      'HMSG ',
      'INFO ',
      'INFO {}',
      'PING\r\n',
      '+OK\r\n',
      '-ERR \r\n',
      'ping\r\n',
      'NATS/1.0',
      'NATS/1.0\r\n\r\n',
      ': ',
      'Dovegate-Seq: 1-2\r\n',
      '0',
      '12',
      '999999999',
      '"max_payload":0',
      '\xff',
      '\0',
    ]),
    run(chunks) {
      const intake = createIntake(() => 0);
      // Small pieces cost more than their bytes; the rate is not what is tried here.
      intake.ask(intakeLimits.askedBytes);
      const events: string[] = [];
      let bytesIn = 0;
      let bytesOut = 0;
      const parser = new Parser({
        push: ({ kind, data, msg }) => {
          events.push(`${kind} ${data === undefined ? '' : Buffer.from(data).toString('latin1')}`);
          if (data !== undefined && msg !== undefined && msg.hdr > 0)
            events.push(MsgHdrsImpl.decode(data.subarray(0, msg.hdr)).keys().join());
        },
      });
      try {
        for (const chunk of chunks) {
          bytesIn += chunk.length;
          for (const piece of intake.push(chunk)) {
            bytesOut += piece.length;
            assert.ok(bytesOut <= bytesIn);
            parser.parse(Uint8Array.from(piece));
          }
        }
      } catch (error) {
        if (!(error instanceof IntakeFault)) throw error;
        return `fault ${error.message.replaceAll(/\d+/g, '0')}`;
      }
      assert.ok(bytesIn - bytesOut <= intakeLimits.lineBytes + intakeLimits.headerBytes);
      return `${events.join('|')} ${bytesOut}`;
    },
    kind: (answer) => answer.replaceAll(/ [^|]*/g, '').slice(0, 40),
  },
  {
    name: 'nats-info',
    what: 'a NATS server: its first line',
    bytesMax: 1024,
    seeds: () => bytesOf([info.slice(5, -2)]),
    tokens: bytesOf([
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '"version":',
      '"__proto__":',
      'null',
      '1e999',
      '\\u0000',
    ]),
    run: (chunks) => {
      const parsed = parseLine(Buffer.concat(chunks).toString('latin1'));
      return parsed === undefined ? 'fault none' : Object.keys(parsed).join();
    },
  },
];
