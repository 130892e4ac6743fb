// The shipped presets as policies for the people of a test world, judged by the daemon's own judge: for a team (alice and bob, never
// victim) and for everybody. The parameters are what an operator would give.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parse, stringify } from 'yaml';
import * as z from 'zod';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { formatProblem } from '../../../src/rules/config/problem.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import { judgeLine, type LineJudgement } from '../../kit/plain/judge-line.js';
import { projectRoot } from '../../kit/plain/root.js';
import { memoryFiles } from '../../rules/config/sound.js';
import { people, realm } from './twin-worlds.js';

const folder = new URL('config/presets/', projectRoot);

export const presetNames: readonly string[] = readdirSync(folder)
  .map((name) => name.replace(/\.yaml$/, ''))
  .toSorted();

/** For whom a policy holds. */
export const scopes = ['team', 'everybody'] as const;
export type Scope = (typeof scopes)[number];

const [aliceName, bobName, victimName] = people;
export const alice = `${aliceName}@${realm}`;
export const bob = `${bobName}@${realm}`;
export const victim = `${victimName}@${realm}`;

/** Users for whom a policy of the scope holds. */
export function isInScope(scope: Scope, user: string): boolean {
  return scope === 'everybody' || user === alice || user === bob;
}

/** Lines of a preset that its own tests judge. */
export interface PresetText {
  /** Its own test cases, with the names of people who exist here: the user field, and the words. */
  readonly lines: readonly (readonly [user: string, ...words: string[]])[];
}

const shape = z.object({
  allow: z.array(
    z.union([z.string(), z.looseObject({ command: z.string() }).transform(({ command }) => command)]),
  ),
  tests: z.object({
    cases: z.array(
      z.looseObject({
        user: z.string().optional(),
        command: z.array(z.union([z.string(), z.number()])),
      }),
    ),
  }),
});

const textOf = (name: string): string => readFileSync(new URL(`${name}.yaml`, folder), 'utf8');

/** The commands that they allow. */
export const presetCommands: ReadonlySet<string> = new Set(
  presetNames.flatMap((name) => shape.parse(parse(textOf(name))).allow),
);

/** Reads a preset's file. */
export function presetText(name: string): PresetText {
  const text = textOf(name);
  const { cases } = shape.parse(parse(text)).tests;
  return {
    lines: cases.map(({ user = '', command }) => {
      const [first = '', ...words] = [user, ...command].map((word) => peopleOf(String(word)));
      return [first, ...words];
    }),
  };
}

function peopleOf(text: string): string {
  return text
    .replaceAll(/\b(?:bob|canary)@example\.com/g, alice)
    .replaceAll('carol@example.com', bob)
    .replaceAll('ceo@example.com', victim)
    .replaceAll('phisher@example.net', 'sender1@example.net')
    .replaceAll('example.com', realm);
}

/** Places that presets are given as parameters. */
export interface PresetPlaces {
  /** Where `sync` and `backup` may go. */
  readonly destination: string;
  /** A maildir to import; others lie beside it. */
  readonly importFolder: string;
}

export interface PresetPolicy {
  readonly preset: string;
  readonly scope: Scope;
  readonly policy: Policy;
  /** Judges a line as a server of the series would read it; the backend says that `shared/` is its shared namespace. */
  judge(series: Series, user: string, words: readonly string[]): LineJudgement;
}

/** One policy for each preset and scope. */
export function presetPolicies(places: PresetPlaces): PresetPolicy[] {
  const parameters: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    'backup-replication': { domains: [`*@${realm}`] },
    migration: { destination: places.destination, directory: dirname(places.importFolder) },
    monitoring: { probe: alice },
  };
  // Mails of the lab are young: for everybody, only the mailboxes bound the janitor.
  const ages: Readonly<Record<Scope, object>> = { team: {}, everybody: { age: '1s' } };
  const pairs = presetNames.flatMap((preset) => scopes.map((scope) => ({ preset, scope })));
  const text = stringify(
    {
      listeners: { team: { unix: '/run/team', policy: 'support-desk-team' } },
      backends: { mail1: { address: 'unix:/run/d', shared_namespaces: ['shared/'] } },
      routes: [{ users: ['*'], backend: 'mail1' }],
      policies: Object.fromEntries(
        pairs.map(({ preset, scope }) => [
          `${preset}-${scope}`,
          {
            users: scope === 'everybody' ? ['*'] : [alice, bob],
            use: [
              {
                preset: `presets/${preset}`,
                with: preset === 'retention-janitor' ? ages[scope] : (parameters[preset] ?? {}),
              },
            ],
          },
        ]),
      ),
    },
    { aliasDuplicateObjects: false },
  );
  const { settings, problems } = parseSettings('d.yaml', {
    ...memoryFiles({ 'd.yaml': text }),
    presetText: (name) => readFileSync(new URL(`${name}.yaml`, folder), 'utf8'),
  });
  assert.ok(settings, problems.map((problem) => formatProblem(problem)).join('\n'));
  const userNames = createUserNames({ characters: defaultCharacters });
  return pairs.map(({ preset, scope }) => {
    const policy = settings.policies.get(`${preset}-${scope}`);
    assert.ok(policy, preset);
    return {
      preset,
      scope,
      policy,
      judge: (series, user, words) =>
        judgeLine(
          policy,
          { listener: 'team', principal: 'team@team', user, words, clientMinor: 3 },
          series,
          ['shared/'],
          userNames,
          Date.now(),
        ),
    };
  });
}
