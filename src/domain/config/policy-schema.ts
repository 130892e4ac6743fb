// The shape of policies, rules, presets and policy tests. Whether commands and parameters exist is checked when rules are read.

import { z } from 'zod';
import { allSeries } from '../commands/catalog.js';
import {
  as,
  count,
  file,
  flag,
  listOf,
  named,
  oneOf,
  rate,
  section,
  strict,
  text,
  word,
} from './schema-parts.js';

const bound = z.union([z.string(), z.number()], {
  error: 'must be a number, an age as 30d, or a size as 1MiB',
});

const words = listOf(word, 'values').min(1, { error: 'must hold at least one value' });

/** `any`, `present`, `absent`, a value, a list of them, or a comparison. */
const condition = z
  .union(
    [
      word,
      words,
      strict('a condition', {
        one_of: z.union([word, words], { error: 'must be a value or a list of them' }).optional(),
        equals: z.union([word, words], { error: 'must be a value or a list of them' }).optional(),
        regex: text('a regular expression').optional(),
        at_least: bound.optional(),
        at_most: bound.optional(),
        optional: flag.optional(),
      }),
    ],
    { error: 'must be a value, a list of values, or one of one_of, equals, regex, at_least, at_most' },
  )
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

const users = listOf(word, 'patterns, as ["*@example.com"]');

const rule = z.union(
  [
    text('the full name of a command'),
    strict('a rule', {
      command: text('the full name of a command'),
      where: where.optional(),
      users: users.min(1, { error: 'must hold at least one pattern' }).optional(),
      reason: oneOf(['required']).optional(),
      limit: rate.optional(),
      max_matches: count(1, 10_000_000).optional(),
      max_users: count(1, 1_000).optional(),
      expires: text('a day as 2027-01-31, or a time as 2027-01-31T18:00:00Z').optional(),
      emergency: flag.optional(),
      root_equivalent: flag.optional(),
      masks: flag.optional(),
      shared: flag.optional(),
      all_users: flag.optional(),
      content: flag.optional(),
    }),
  ],
  { error: 'must be the name of a command, or a map with the key command' },
);

const rules = listOf(rule, 'rules');

const presetName = z
  .string({ error: 'must be the name of a preset, as presets/support-desk' })
  .regex(/^presets\/[a-z0-9-]{1,64}$/, {
    error: 'must be the name of a shipped preset, as presets/support-desk',
  });

const use = z.union(
  [
    presetName,
    strict('the use of a preset', {
      preset: presetName,
      with: z
        .record(z.string(), z.union([word, words], { error: 'must be a value or a list of values' }), {
          error: 'must be a map from the parameters of the preset to values',
        })
        .optional(),
    }),
  ],
  { error: 'must be the name of a preset, or a map with the keys preset and with' },
);

export const policy = strict('a policy', {
  mode: oneOf(['enforce', 'observe']).prefault('enforce'),
  users,
  except: listOf(word, 'patterns, as ["ceo@example.com"]').optional(),
  use: listOf(use, 'presets').optional(),
  allow: rules.optional(),
  deny: rules.optional(),
  shadow: file('a file with a candidate for this policy').optional(),
  limits: section('the limits of a policy', {
    rate: rate.optional(),
    distinct_users: as('distinctUsers', rate.optional()),
    at_once: as('atOnce', count(1, 100_000).optional()),
  }).prefault({}),
  logs: oneOf(['none', 'filtered', 'full']).prefault('filtered'),
  debug: z.boolean({ error: 'must be true or false' }).prefault(false),
  weight: count(1, 100).prefault(1),
}).meta({ description: 'what a team may do; what no rule allows is denied' });

export const policyTest = strict('a policy test', {
  listener: text('the name of a listener'),
  as: strict('who asks', {
    user: word.optional(),
    groups: listOf(word, 'groups').optional(),
    account: word.optional(),
  }).optional(),
  user: word.optional(),
  command: listOf(word, 'words of a command line').min(1, { error: 'must hold the words of a command line' }),
  series: z
    .union([z.enum(allSeries), z.literal(2.3), z.literal(2.4)], { error: 'must be one of: "2.3", "2.4"' })
    .optional(),
  client: count(1, 4).optional(),
  expect: oneOf(['allow', 'deny', 'unparsable', 'obstacle']),
}).meta({ description: 'a command line and what the policy must say of it' });

export const preset = strict('a preset', {
  parameters: named(
    strict('a parameter of a preset', {
      about: text('what it is for'),
      default: z.union([word, words], { error: 'must be a value or a list of values' }).optional(),
    }),
    'parameters',
  ).optional(),
  allow: rules.optional(),
  deny: rules.optional(),
  tests: strict('the tests of a preset', {
    with: z.record(z.string(), z.union([word, words])).optional(),
    users,
    except: users.optional(),
    cases: listOf(policyTest.omit({ listener: true, as: true }), 'policy tests'),
  }).optional(),
});

export type RawPolicy = z.infer<typeof policy>;
export type RawRule = z.infer<typeof rule>;
export type RawPolicyTest = z.infer<typeof policyTest>;
