// Goal: a condition that could never hold, or that its author cannot have meant, is told at its place.
import { testMistakes } from './sound.js';

/** A rule instead of the sound one. */
const rule = (name: string, text: string, ...expected: string[]) =>
  [name, '[quota get]', `[{ ${text} }]`, ...expected] as const;

testMistakes([
  rule(
    'a sound where',
    'command: fetch, where: { field: [uid], query: { mailbox: [INBOX], before: { at_least: 30d } } }',
  ),
  rule(
    'every form of a condition',
    'command: mailbox list, where: { mutf7: any, utf8: false, subscriptions: true, mailbox-mask: { one_of: [INBOX], optional: true } }',
  ),
  rule(
    'a parameter that is not there',
    'command: fetch, where: { feild: [uid] }',
    '11:40: policies.support.allow[0].where.feild: "fetch" has no parameter "feild"; did you mean field?',
  ),
  rule(
    'a spelling of a parameter',
    'command: fetch, where: { fieldstr: [uid] }',
    '11:40: policies.support.allow[0].where.fieldstr: write field, which covers every spelling of it',
  ),
  rule(
    'what no rule can allow',
    'command: fetch, where: { user-file: [x] }',
    '11:40: policies.support.allow[0].where.user-file: is never allowed, and no rule can change that; take it out',
  ),
  rule(
    'all users as a parameter',
    'command: fetch, where: { all-users: true }',
    '11:40: policies.support.allow[0].where.all-users: write all_users: true beside command: instead',
  ),
  rule(
    'the user as a parameter',
    'command: fetch, where: { user: [alice] }',
    '11:40: policies.support.allow[0].where.user: the user of a mail command is judged by users and except; take it out',
  ),
  rule(
    'a value for an option without one',
    'command: mailbox list, where: { utf8: [x] }',
    '11:47: policies.support.allow[0].where.utf8: is an option without a value; write true, false or any',
  ),
  rule(
    'the absence of what is always there',
    'command: mailbox create, where: { mailbox: absent }',
    '11:49: policies.support.allow[0].where.mailbox: can never be absent: the command cannot be given without it',
  ),
  rule(
    'an optional that is not',
    'command: mailbox create, where: { mailbox: { one_of: [x], optional: true } }',
    '11:73: policies.support.allow[0].where.mailbox.optional: has no meaning: the command cannot be given without this parameter',
  ),
  rule(
    'two comparisons',
    'command: mailbox create, where: { mailbox: { one_of: [x], regex: y } }',
    '11:49: policies.support.allow[0].where.mailbox: needs one of: one_of, equals, regex, or at_least and at_most',
  ),
  rule(
    'an unknown comparison',
    'command: mailbox create, where: { mailbox: { like: x } }',
    '11:60: policies.support.allow[0].where.mailbox.like: "like" is not a key here; known are: at_least, at_most, equals, one_of, optional, regex',
  ),
  rule(
    'a number that is none',
    'command: index, where: { max-recent: { at_most: 10d } }',
    '11:54: policies.support.allow[0].where.max-recent.at_most: must be a whole number (ages and sizes are for search keys, below query)',
  ),
  rule(
    'an expression that cannot be read',
    'command: mailbox create, where: { mailbox: { regex: "(a" } }',
    '11:60: policies.support.allow[0].where.mailbox.regex: the expression has a ( that is not closed',
  ),
  rule(
    'an expression that is too large',
    'command: mailbox create, where: { mailbox: { regex: ".{1,1000}.{1,1000}x" } }',
    '11:60: policies.support.allow[0].where.mailbox.regex: the expression stands for more than 93 characters, repetitions written out',
  ),
  rule(
    'an empty list',
    'command: mailbox create, where: { mailbox: [] }',
    '11:49: policies.support.allow[0].where.mailbox: must hold at least one value',
  ),
  rule(
    'a search key that is not there',
    'command: search, where: { query: { mialbox: [x] } }',
    '11:50: policies.support.allow[0].where.query.mialbox: there is no search key "mialbox"; did you mean mailbox?',
  ),
  rule(
    'any value of a key',
    'command: search, where: { query: { mailbox: any } }',
    '11:50: policies.support.allow[0].where.query.mailbox: has no effect; write present if the key must be there, or leave it out',
  ),
  rule(
    'a value for a key without one',
    'command: search, where: { query: { seen: [x] } }',
    '11:50: policies.support.allow[0].where.query.seen: is a key without a value; write present or absent',
  ),
  rule(
    'the wrong end of an age',
    'command: search, where: { query: { savedbefore: { at_most: 30d } } }',
    '11:50: policies.support.allow[0].where.query.savedbefore: savedbefore takes at_least and nothing else here',
  ),
  rule(
    'an age for what has none',
    'command: search, where: { query: { mailbox: { at_least: 30d } } }',
    '11:50: policies.support.allow[0].where.query.mailbox: mailbox takes a value or a list of values here',
  ),
  rule(
    'an age without a unit',
    'command: search, where: { query: { before: { at_least: 30 } } }',
    '11:60: policies.support.allow[0].where.query.before.at_least: must be an age with its unit, as 30d',
  ),
  rule(
    'a size without a unit',
    'command: search, where: { query: { larger: { at_least: 1000 } } }',
    '11:60: policies.support.allow[0].where.query.larger.at_least: must be a size with its unit, as 1MiB',
  ),
  rule(
    'a whole query and more',
    'command: search, where: { query: { regex: "a", seen: true } }',
    '11:50: policies.support.allow[0].where.query.regex: is about the whole query, so it stands alone',
  ),
  rule(
    'a query that is a word',
    'command: search, where: { query: all }',
    '11:41: policies.support.allow[0].where.query: must be any, or a map from search keys to conditions',
  ),
  rule(
    'a where that is a list',
    'command: search, where: [query]',
    '11:32: policies.support.allow[0].where: must be a map from parameters to conditions',
  ),
  [
    'a deny about more of a query than its mailboxes',
    '[quota get]',
    '[quota get]\n    deny: [{ command: search, where: { query: { mailbox: [x], seen: true } } }]',
    '5:3: warning: backends.mail1: does not list its namespaces, so a mailbox that is denied may have names that pass (/etc/dovegate/d.yaml:12)',
    '12:63: policies.support.deny[0].where.query.seen: a deny can be about mailbox only; write the rest as a condition of the allow',
  ],
]);
