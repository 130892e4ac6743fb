// Steps of access on request that people take on the page. The page's process vouches for who they are, so each step needs
// `admin.page.approve`, the role `approve`, and an entry in `persons` that names the person of the page.

import { codes, sentenceOf } from '../../doveadm/codes/codes.js';
import { GlobList } from '../../doveadm/names/glob.js';
import { verbRow } from '../../doveadm/verbs/verbs.js';
import type { RecordedPeer } from '../../journal/records/keys.js';
import { pagePrefix } from '../../journal/records/stored.js';
import type { PagePerson, Settings } from '../../rules/config/settings.js';
import type { Human } from '../../rules/identity/human.js';
import { isPerson } from '../../rules/identity/origin.js';
import { type Asker, whyNobody } from '../access/asker.js';
import type { AccessResult } from '../access/result.js';
import type { ExchangeContext } from '../command/context.js';
import { countWithoutClient } from '../command/count-without-client.js';
import type { DoorAccess } from '../door/calls.js';
import type { DoorAccessed } from '../door/door.js';
import type { AccessCode } from '../outcome/outcome.js';

const isOff =
  'approvals on the page are off; an operator can set admin.page.approve: true, or use dovegate approve';

/** All members of a group share its entry, so the entry does not name one person. */
const isGroup =
  'a group of OpenID Connect gives no approval: ask for an entry of your own in admin.page.people';

/** Returns true if a step takes a right away. Such steps are not rate-limited. */
export function isEnd({ step }: DoorAccess): boolean {
  return step !== 'list' && verbRow(step).costs === 'end';
}

/** Carries out a call. Never rejects. */
export async function decideOnPage(
  context: ExchangeContext,
  settings: Settings,
  person: PagePerson,
  human: Human,
  { step, ...given }: DoorAccess,
  peer: RecordedPeer,
): Promise<DoorAccessed> {
  const desk = context.access;
  if (settings.admin?.page?.approve !== true) return refused('access-denied', isOff);
  if (person.oidc?.group !== undefined && step !== 'list') return refused('access-denied', isGroup);
  const { persons } = desk.rights;
  const asker = askerOnPage(person, human, settings, peer);
  if (step !== 'list')
    return accessed(await desk.decide(asker, step, given, countWithoutClient(context, asker)));
  const whyNone = person.oidc?.group === undefined ? whyNobody(asker, persons) : isGroup;
  return { ...desk.list(asker), decided: desk.decided(asker), ...(whyNone !== undefined && { whyNone }) };
}

/**
 * A person of the page approves for every policy, within the mail users that the person may see. A person who came by a sign-in link is
 * treated as at a listener's socket: the process that got the link may run behind sudo or su.
 */
function askerOnPage(
  { name, users }: PagePerson,
  human: Human,
  { policies }: Settings,
  peer: RecordedPeer,
): Asker {
  const principal = `${pagePrefix}${name}`;
  return {
    listener: undefined,
    principal,
    origin: human.identities.find(isPerson) ?? principal,
    policy: {
      name: '',
      version: '',
      users: new GlobList(users ?? ['*']),
      except: new GlobList([]),
      approve: [...policies.keys()],
    },
    peer,
    ...human,
    login: undefined,
    credential: undefined,
    whyNotAsk: 'nothing is requested on the page',
  };
}

function accessed(result: AccessResult): DoorAccessed {
  if (result.kind === 'done') return { items: result.items };
  const { code, reason } = result;
  return refused(code, sentenceOf(code, { reason }));
}

function refused(code: AccessCode, text: string): DoorAccessed {
  return { text, isPassing: codes[code].repeat === 'safe', code };
}
