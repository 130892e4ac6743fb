// The shipped presets, as their own tests use them.

import { readdirSync, readFileSync } from 'node:fs';
import { parse as parseYaml, stringify } from 'yaml';
import * as z from 'zod';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { memoryFiles } from '../../rules/config/sound.js';
import { projectRoot } from './root.js';

const folder = new URL('config/presets/', projectRoot);

export const presetNames = readdirSync(folder).map((name) => name.replace(/\.yaml$/, ''));

const shape = z.object({
  allow: z.array(z.union([z.string(), z.object({ command: z.string() })])),
  tests: z.object({
    with: z.record(z.string(), z.unknown()).optional(),
    users: z.array(z.string()),
    except: z.array(z.string()).optional(),
    cases: z.array(
      z
        .object({ command: z.array(z.union([z.string(), z.number()])), expect: z.enum(['allow', 'deny']) })
        .loose(),
    ),
    prove: z.array(z.string()).default([]),
  }),
});

export function presetText(name: string): string {
  return readFileSync(new URL(`${name}.yaml`, folder), 'utf8');
}

/** A configuration that uses a preset as its own tests want it. */
export function presetConfiguration(name: string): string {
  const { tests } = presetShape(name);
  return stringify({
    listeners: { team: { unix: '/run/team', policy: 'team' } },
    backends: { mail1: { address: 'unix:/run/d', shared_namespaces: [] } },
    routes: [{ users: ['*'], backend: 'mail1' }],
    mail_users: { resolve: '/run/dovecot/auth' },
    policies: {
      team: {
        users: tests.users,
        except: tests.except ?? [],
        use: [{ preset: `presets/${name}`, with: tests.with ?? {} }],
      },
    },
    tests: [
      ...tests.cases.map((each) => ({ listener: 'team', ...each })),
      ...tests.prove.map((prove) => ({ prove })),
    ],
  });
}

export function readWithPresets(text: string) {
  return parseSettings('d.yaml', {
    ...memoryFiles({ 'd.yaml': text }),
    presetText: (name) => (presetNames.includes(name) ? presetText(name) : undefined),
  });
}

/** What is in its file. */
export function presetShape(name: string): z.infer<typeof shape> {
  return shape.parse(parseYaml(presetText(name)));
}
