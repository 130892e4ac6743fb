// The kinds of problems that a configuration can have, as codes for programs and for docs/messages.md. It does not know what a key means.
// The rule: a code is never renamed or used for something else; a sentence may change with every release.

/** The kind of a problem. */
export type ProblemCode =
  // errors
  | 'not-yaml'
  | 'unreadable-file'
  | 'unsafe-file'
  | 'bad-certificate'
  | 'unknown-key'
  | 'missing-key'
  | 'unknown-name'
  | 'defined-twice'
  | 'key-conflict'
  | 'invalid-value'
  // warnings
  | 'no-effect'
  | 'never-reached'
  | 'too-open'
  | 'except-bypassed'
  | 'namespaces-unsaid'
  | 'unknown-account'
  | 'unused'
  | 'doubtful';

/** What each means, and what to do. */
export const problemCodes: Readonly<Record<ProblemCode, readonly [means: string, ask: string]>> = {
  'not-yaml': [
    'the text is no YAML, or uses of it what is not taken (anchors, tags, keys that are no text)',
    'write it plainly; patterns with `*` stand in quotes',
  ],
  'unreadable-file': [
    'a file that the configuration names cannot be read (a warning where only the service will see it)',
    'correct the path, or the rights of the file',
  ],
  'unsafe-file': [
    'somebody else than root and the daemon can change a file, or read a secret one (a warning where only a group can)',
    'change mode or owner as the message says; of a directory on the way too',
  ],
  'bad-certificate': [
    'a certificate, its key or its authorities cannot be used, or end soon (a warning)',
    'put a good one there',
  ],
  'unknown-key': ['a key that does not exist there', 'correct its spelling; take it out'],
  'missing-key': ['a key that is needed there', 'add it'],
  'unknown-name': [
    'a name (policy, backend, preset, command, parameter) that is defined nowhere',
    'correct it',
  ],
  'defined-twice': ['the same thing is said in two places, or taken by two', 'leave one of them'],
  'key-conflict': ['keys that exclude or need one another', 'say one of them, or both, as the message says'],
  'invalid-value': ['a value that cannot be used there', 'write what the message asks for'],
  'no-effect': ['what is said changes nothing', 'take it out, or say what makes it count'],
  'never-reached': ['something above it takes everything already', 'move it up, or take it out'],
  'too-open': ['more people than usual get in, or see more', 'narrow it, unless that is meant'],
  'except-bypassed': ['an alias of a user under `except` gets round it', 'set `mail_users.resolve`'],
  'namespaces-unsaid': [
    'a backend does not say its namespaces, and rules suffer for it',
    'say `shared_namespaces`, `[]` for none; or list all `namespaces`',
  ],
  'unknown-account': [
    'this machine does not know a user or a group, or we may not give a socket to it',
    'make it; correct it',
  ],
  unused: ['something is defined, and nothing uses it', 'use it, or take it out'],
  doubtful: ['it is served as it stands, and is probably not what was meant', 'read the message'],
};
