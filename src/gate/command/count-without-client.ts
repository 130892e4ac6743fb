// Counts mails for people of the page, who decide about requests without a client.

import { Abortable } from '../../host/concurrency/abortable.js';
import type { Asker } from '../access/asker.js';
import type { CountMails } from '../access/live-entry.js';
import type { ReplyTarget } from '../relay/reply-writer.js';
import { countForAccess } from './access-commands.js';
import type { ExchangeContext, ExchangeSession } from './context.js';
import { ExchangeRecords } from './exchange-records.js';
import { nothingStated } from './stated.js';

/** The records of the searches name `asker`. */
export function countWithoutClient(context: ExchangeContext, asker: Asker): CountMails {
  return (command) => {
    const policy = context.access.rights.policies.get(command.policy);
    if (policy === undefined) return Promise.resolve({ failed: 'its policy is gone' });
    const { origin, principal } = asker;
    const listener = 'page';
    const subject = { listener, principal, clientMinor: 0, policy };
    const names = {
      session: context.newId(),
      listener,
      peer: { listener },
      recorded: asker.peer ?? {},
      principal,
      origin,
    };
    const session: ExchangeSession = {
      names,
      proof: { kind: 'kernel' },
      human: asker,
      subject,
      writer: silent,
      stated: nothingStated,
      now: () => ({ context, policy }),
      isCurrent: (other) => other === context,
      openInput: () => {
        throw new Error('a count has no input');
      },
    };
    // There is no exchange: the searches name the request in its place.
    const id = command.request;
    const time = context.clock.wallMs();
    const records = new ExchangeRecords(context, { time, event: 'admission' }, false);
    const exchange = { context, session, id, abortable: new Abortable(), records, attempts: [] };
    return countForAccess(exchange, command);
  };
}

const silent: ReplyTarget = {
  bytesOut: 0,
  isMidCell: false,
  takenBytes: 0,
  expect: () => false,
  addBody: () => undefined,
  addLog: () => undefined,
  say: () => undefined,
  addRawStatus: () => undefined,
  addEnd: () => '',
  flush: () => undefined,
};
