// The shape of policies, rules, presets and policy tests. Whether commands and parameters exist is checked when rules are read.

import * as z from 'zod';
import { newestMinor } from '../../doveadm/protocol/minors.js';
import { formatDuration } from '../../host/words/durations.js';
import { comparisonKinds } from '../conditions/value-test.js';
import { usualRequests } from '../policy/rate.js';
import {
  as,
  count,
  expression,
  file,
  flag,
  hostName,
  instant,
  listOf,
  named,
  oneOf,
  optionalTimer,
  quietTime,
  rate,
  section,
  seriesOr,
  strict,
  text,
  timer,
  userPatterns,
  word,
} from './schema-parts.js';

/** Most persons whose approval one request may need. */
const approvalsMax = 5;
const usesMax = 10_000;
/** Undecided requests that one principal may have. */
const openMax = 10;

const words = listOf(word, 'values').min(1, { error: 'must hold at least one value' });

const forms = {
  words: z.union([word, words], { error: 'must be a value or a list of them' }),
  text: text('a regular expression'),
  bound: z.union([z.string(), z.number()], { error: 'must be a number, an age as 30d, or a size as 1MiB' }),
};

const comparisonShape = Object.fromEntries(
  comparisonKinds.flatMap(({ keys }) =>
    Object.entries(keys).map(([key, form]) => [key, forms[form].optional()] as const),
  ),
);

/** `any`, `present`, `absent`, a value, a list of them, or a comparison. */
const condition = z
  .union([word, words, strict('a condition', { ...comparisonShape, optional: flag() })], {
    error: `must be a value, a list of values, or one of ${Object.keys(comparisonShape).join(', ')}`,
  })
  .meta({
    description:
      'any: whatever, also nothing; present; absent; values in which * and ** are wildcards; or a comparison',
  });

const queryKeys = z.record(z.string(), condition, { error: 'must be a map from search keys to conditions' });

const query = z
  .union(
    [
      z.literal('any'),
      z
        .object({
          regex: text('a regular expression').optional(),
          equals: z.union([word, words], { error: 'must be the words of a query' }).optional(),
          any_of: listOf(queryKeys, 'maps from search keys to conditions').optional(),
        })
        .catchall(condition),
    ],
    { error: 'must be any, or a map from search keys to conditions' },
  )
  .meta({ description: 'what must hold for every mail that the query can select' });

const where = z
  .object({ query: query.optional() }, { error: 'must be a map from parameters to conditions' })
  .catchall(condition);

const users = userPatterns('["*@example.com"]');

const commandName = text('the full name of a command');

/** Keys of the rules in every list that allows. */
const ruleKeys = {
  command: commandName,
  where: where
    .optional()
    .describe(
      'conditions on its parameters ([conditions](policies.md#conditions)); in a location `<user>` is the user of the command',
    ),
  users: users
    .min(1, { error: 'must hold at least one pattern' })
    .optional()
    .describe('patterns on users, within those of the policy'),
  limit: rate.optional().describe('how often one requester may use the rule'),
  max_matches: count(1, 10_000_000).optional().describe('mails that the search query may find at most'),
  deadline: optionalTimer().describe(
    'from sending to the first byte of the reply; default `limits.deadline` of its effect',
  ),
  expires: instant('2027-01-31').describe('last day, or the time at which the rule ends'),
  emergency: flag().describe('served even while the audit disk has only its reserve left'),
  root_equivalent: flag().describe('permits a command that amounts to root on the mail server'),
  shared: flag().describe('permits mailboxes in shared and public namespaces'),
  content: flag().describe('permits what shows the content of mails'),
};

const ruleMap = section(
  'a rule',
  {
    ...ruleKeys,
    reason: oneOf(['required'])
      .optional()
      .describe(
        '`required`: the client must give a reason; `on_request` also takes `{ regex }` for the reason of the request',
      ),
    masks: flag().describe('permits masks where the command takes them'),
    all_users: flag().describe('permits `-A` and lists of users, in a policy for everybody'),
  },
  undefined,
  {
    'invalid-value': {
      'max_matches: cannot be combined with all_users: it counts the mails of one user': ({ allUsers }) =>
        allUsers,
    },
  },
);

const rule = z.union([commandName.transform((command) => ruleMap.parse({ command })), ruleMap], {
  error: 'must be the name of a command, or a map with the key command',
});

const rules = listOf(rule, 'rules, as [quota get, mailbox list]');

const ofRequests = '`on_request` only: ';

/** A request names its users one by one: no masks, and not all users. */
const requestRuleMap = section(
  'a rule of on_request',
  {
    ...ruleKeys,
    command: z
      .union([commandName, listOf(commandName, 'names of commands').min(1)], {
        error: 'must be the full name of a command, or a list of them',
      })
      .describe('its full name; of `on_request` also a list, for one rule each'),
    reason: z
      .union(
        [
          oneOf(['required']),
          strict('a reason', {
            regex: expression.describe(`${ofRequests}what the reason of the request must match`),
          }),
        ],
        { error: 'must be required, or a map with the key regex' },
      )
      .optional()
      .describe(
        '`required`: the client must give a reason; of `on_request` also `{ regex }`, what it must match',
      ),
    approvals: count(0, approvalsMax)
      .prefault(1)
      .describe(`${ofRequests}persons who must approve; 0 (break-glass): none, and it must be reviewed`),
    for: timer('1h').describe(`${ofRequests}how long a grant lasts at most`),
    scope: oneOf(['command', 'user'])
      .prefault('command')
      .describe(
        `${ofRequests}\`command\` grants one command line, \`user\` the rule for the users of the request`,
      ),
    uses: count(1, usesMax)
      .optional()
      .describe(`${ofRequests}commands under one grant; default: 1, and no limit for scope \`user\``),
    quiet: quietTime().describe(
      `${ofRequests}how long a grant may be kept from the owner at most, where two persons approve; default: not at all`,
    ),
  },
  undefined,
  {
    'missing-key': {
      '.: approvals: 0 (break-glass) needs uses': ({ approvals, uses }) =>
        approvals === 0 && uses === undefined,
    },
    'key-conflict': {
      'quiet: needs approvals: access without an approval is never kept from the owner': ({ approvals }) =>
        approvals === 0,
    },
  },
);

const requestRule = z.union(
  [commandName.transform((command) => requestRuleMap.parse({ command })), requestRuleMap],
  { error: 'must be the name of a command, or a map with the key command' },
);

const presetName = z
  .string({ error: 'must be the name of a preset, as presets/support-desk' })
  .regex(/^presets\/[a-z0-9-]{1,64}$/, {
    error: 'must be the name of a shipped preset, as presets/support-desk',
  });

const use = z.union(
  [
    presetName,
    strict('the use of a preset', {
      preset: presetName.describe('name of a shipped preset, as `presets/support-desk`'),
      with: z
        .record(z.string(), z.union([word, words], { error: 'must be a value or a list of values' }), {
          error: 'must be a map from the parameters of the preset to values',
        })
        .optional()
        .describe('values of its parameters, by name'),
    }),
  ],
  { error: 'must be the name of a preset, or a map with the keys preset and with' },
);

const limits = section('the limits of a policy', {
  rate: rate.optional().describe('commands of one requester'),
  distinct_users: rate.optional().describe('different users that one requester names'),
  at_once: count(1, 100_000).optional().describe('running commands of one requester'),
});

export const policy = section(
  'a policy',
  {
    mode: oneOf(['enforce', 'observe'])
      .prefault('enforce')
      .describe(
        '`observe`: what concerns named mailboxes is allowed, and what `enforce` would say is recorded',
      ),
    users: users.describe('patterns on the users that the policy covers'),
    except: userPatterns('["ceo@example.com"]')
      .default([])
      .describe('patterns on users that it never covers'),
    use: listOf(use, 'presets, as [presets/support-desk]')
      .default([])
      .describe('shipped presets: a name, or `{ preset, with }` with values of its parameters'),
    allow: rules.default([]).describe('rules; what none of them allows is denied'),
    deny: rules
      .default([])
      .describe('rules that hold whatever is allowed; only `command`, `where` and `users`'),
    on_request: listOf(requestRule, 'rules')
      .default([])
      .describe('rules that are available for a time, on request, when others approve it'),
    requests: section('the limits of requests', {
      open: count(1, openMax).prefault(usualRequests.open).describe('undecided requests of one requester'),
      wait: timer(formatDuration(usualRequests.waitMs)).describe(
        'an undecided request expires after this time',
      ),
    }).prefault({}),
    approve: listOf(word, 'names of policies')
      .default([])
      .describe('policies whose requests the requesters of this one may approve'),
    shadow: file('a file with a candidate for this policy')
      .optional()
      .describe('file with a candidate whose decisions are recorded only'),
    limits: limits.prefault({}),
    logs: oneOf(['none', 'filtered', 'full'])
      .prefault('filtered')
      .describe('log lines of backends that reach the client'),
    debug: flag().describe('whether clients may ask for debug lines'),
    contact: text('whom to ask, in one line')
      .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u, { error: 'must be one line of at most 200 characters' })
      .optional()
      .describe('whom to ask, as "helpdesk@example.com": shown to who is denied'),
    weight: count(1, 100)
      .prefault(1)
      .describe('turns of each requester while others wait for the same backend'),
  },
  'what a team may do; what no rule allows is denied',
  {
    'key-conflict': {
      'on_request: has no meaning in mode observe, which refuses next to nothing; take it out': ({
        mode,
        onRequest,
      }) => mode === 'observe' && onRequest.length > 0,
    },
  },
);

export const person = section(
  'a person',
  {
    users: listOf(hostName, 'users of this host').default([]).describe('users of this host, by name or uid'),
    accounts: listOf(word, 'names of accounts').default([]).describe('accounts of listeners'),
    keys: listOf(word, 'names of keys').default([]).describe('keys of listeners'),
    page: listOf(word, 'names of people of the page').default([]).describe('people of the page'),
    oidc: text('an email address or a subject')
      .optional()
      .describe('email address, or subject, at the issuer of the page'),
  },
  'the identities of one human, who decides about no request of their own: names of `users` (of this host), `accounts`, `keys` and `page`, and `oidc`, the email address or subject at the issuer',
);

const testKeys = {
  user: word.prefault('').describe('user field of the command; default: none'),
  command: as(
    'words',
    listOf(word, 'words of a command line').min(1, { error: 'must hold the words of a command line' }),
  ).describe('words of the command line'),
  series: seriesOr().optional().describe('series of the backend; default: that of the backends of the user'),
  client: count(1, newestMinor).optional().describe('minor of the protocol that the client announces'),
  granted: z
    .boolean({ error: 'must be true or false' })
    .optional()
    .describe('judged as under a grant of a rule of `on_request`'),
  expect: oneOf(['allow', 'deny', 'request', 'unparsable', 'obstacle']).describe(
    'what must be answered; `request`: denied, and available on request',
  ),
};

export const policyTest = section(
  'a policy test',
  {
    listener: text('the name of a listener').describe('listener of the test'),
    as: section('who asks', {
      user: as('name', word.optional()).describe('name of who asks'),
      groups: listOf(word, 'groups').default([]).describe('groups of who asks'),
      account: word.optional().describe('account of who asks, at a TCP listener'),
    })
      .optional()
      .describe(
        'who asks: `{ user, groups }`, or at a TCP listener `{ account }`; default: anybody who may connect',
      ),
    ...testKeys,
  },
  'a command line and what the policy must say of it',
);

const statement = text('a statement, as dovegate prove takes it');

export const statementTest = strict('a statement', {
  prove: statement.describe('statement that must hold (`dovegate prove`)'),
}).meta({ description: 'a statement about the policies that must hold' });

export const preset = strict('a preset', {
  parameters: named(
    strict('a parameter of a preset', {
      about: text('what it is for'),
      default: z.union([word, words], { error: 'must be a value or a list of values' }).optional(),
    }),
    'parameters',
  ).optional(),
  allow: rules.default([]),
  deny: rules.default([]),
  tests: strict('the tests of a preset', {
    with: z.record(z.string(), z.union([word, words])).optional(),
    users,
    except: users.optional(),
    cases: listOf(strict('a policy test', testKeys), 'policy tests'),
    prove: listOf(statement, 'statements').default([]),
  }).optional(),
});

export type RawPolicy = z.infer<typeof policy>;
export type RawRule = z.infer<typeof rule>;
export type RawRequestRule = z.infer<typeof requestRule>;
export type RawHuman = z.infer<typeof person>;
export type RawPolicyTest = z.infer<typeof policyTest>;
export type RawStatementTest = z.infer<typeof statementTest>;
