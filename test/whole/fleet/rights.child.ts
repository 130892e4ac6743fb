// Run by examples.test.ts on one of its machines: asks a server for things, and prints what came of each: `done`, or the code of the fault.
import { readFileSync } from 'node:fs';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { type NatsLink, openNats } from '../../../src/evidence/nats/link.js';

export type Asked = readonly ['publish' | 'last' | 'info' | 'create', stream: string, subject: string];

const {
  settings,
  asked,
}: { readonly settings: Parameters<typeof openNats>[0]; readonly asked: readonly Asked[] } = JSON.parse(
  readFileSync(0, 'utf8'),
);
const link = await openNats(settings);
const answers: string[] = [];
for (const [what, stream, subject] of asked) {
  try {
    await ask(link, what, stream, subject);
    answers.push('done');
  } catch (fault) {
    if (!(fault instanceof NatsFault)) throw fault;
    answers.push(fault.code);
  }
}
await link.close();
process.stdout.write(JSON.stringify(answers));

function ask(to: NatsLink, what: Asked[0], stream: string, subject: string): Promise<unknown> {
  switch (what) {
    case 'publish':
      return to.publish(subject, [], Buffer.from('x'), 0);
    case 'last':
      return to.lastOf(stream, subject);
    case 'info':
      return to.info(stream);
    case 'create':
      return to.createStream(stream, { subjects: [subject], replicas: 1, maxAgeMs: 0, maxBytes: undefined });
    default:
      return what satisfies never;
  }
}
