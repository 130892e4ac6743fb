// The page's answers about policies: what would become of a command (the playground), who may do what, and the accounts, keys and
// certificates. Questions are evaluated with the policies served now and the daemon's own code, within the limits of a client's line. A
// question is recorded before it is answered, with its secrets as digests.

import type { DoorFacts } from '../gate/door/door.js';
import { localUserName, type NameNumbers } from '../host/machine/accounts.js';
import type { NameService } from '../host/machine/name-service.js';
import type { Clock } from '../host/ports/machine.js';
import { accessTable } from './access-table.js';
import type { Explain } from './answers/endpoints.js';
import type { Daemon } from './daemon.js';
import { explainAsked, judgingBy } from './explain-asked.js';
import { jsonReply, type PageHandlers, Refusal, toldBy } from './http/page-request.js';
import { keysTable } from './keys-table.js';
import type { FindPastUses } from './past-uses.js';

export interface AccessParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs'>;
  readonly names: Pick<NameService, 'loginOf'>;
  readonly daemon: Pick<Daemon, 'told' | 'record' | 'facts'>;
  readonly certificates: () => DoorFacts['certificates'];
  readonly pastUses: FindPastUses;
}

const principalOf = ({ listener, name }: DoorFacts['used'][number]): string => `${name}@${listener}`;

export function createAccessHandlers(parts: AccessParts): Pick<PageHandlers, 'explain' | 'access' | 'keys'> {
  const { clock, names, daemon, certificates, pastUses } = parts;

  return {
    async explain({ who }, written) {
      const told = toldBy(daemon);
      const { settings } = told;
      const numbers = toldBy({ told: told.numbers });
      const question = withUid(written, numbers);
      const { series } = await daemon.facts();
      const judging = judgingBy(settings, numbers, series);
      const { explained, recorded } = await explainAsked(question, judging, clock, names.loginOf);
      const args = [`listener=${question.listener}`, `principal=${explained.principal}`, ...recorded];
      await daemon.record(who, { action: 'explain', args });
      if (daemon.told !== told) throw new Refusal(409, 'the configuration was changed meanwhile; ask again');
      return jsonReply(200, explained);
    },
    access() {
      return jsonReply(200, accessTable(toldBy(daemon).settings, clock.wallMs(), localUserName));
    },
    async keys() {
      const { head, settings } = toldBy(daemon);
      const facts = await daemon.facts();
      const unused = facts.used.filter(({ lastUsedMs }) => lastUsedMs === undefined);
      const past = await pastUses(head, unused.map(principalOf));
      const used = facts.used.map((use) =>
        use.lastUsedMs === undefined ? { ...use, ...past.get(principalOf(use)) } : use,
      );
      return jsonReply(200, keysTable(settings, { ...facts, used }, certificates(), head.started));
    },
  };
}

/** Resolves only names of the configuration: others would reveal who has a login on this host. Throws a Refusal for another one. */
function withUid(question: Explain, { uidOf }: NameNumbers): Explain {
  const { uidName } = question;
  if (uidName === undefined) return question;
  const uid = uidOf(uidName);
  if (uid !== undefined) return { ...question, uid };
  const text = `the configuration names no user ${JSON.stringify(uidName)} of this host; give the uid`;
  throw new Refusal(404, text);
}
