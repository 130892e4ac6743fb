// Goal: what README and docs/ show of the program is what the program prints, to the letter but for dates and ids; and every
// configuration in them is one that it takes. Pages that need a daemon run in test/whole/scenario/docs.test.ts.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { findingKinds } from '../../../src/evidence/fleet/shapes.js';
import { touchClasses } from '../../../src/evidence/report/touch.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { preset } from '../../../src/rules/config/policy-schema.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { httpDifferences } from '../../kit/plain/http-vectors.js';
import { projectRoot } from '../../kit/plain/root.js';
import { example, needsDaemon, pages, readPage as read, runPage } from './docs-page.js';
import { complete, fencesOf, stepsOf } from './docs-steps.js';

const presetText = (name: string): string | undefined => {
  try {
    return read(`config/presets/${name}.yaml`);
  } catch {
    return undefined;
  }
};

for (const path of pages.filter((each) => each === 'README.md' || !needsDaemon(each))) {
  test(`${path}: commands print what it shows`, { timeout: 120_000 }, (t) => runPage(t, path));
}

test('the pages show explain, can, check, test, suggest and the other subcommands', () => {
  const commands = pages
    .flatMap((path) => stepsOf(read(path), example))
    .flatMap((step) => (step.kind === 'shown' ? [step.command] : []));
  const shown = `explain, can, check, test, suggest, prove, send, status, kill, backend, reload, hash-password, key new, audit verify,
    audit search, audit show, audit tail, audit export, audit report, audit keygen`;
  for (const name of shown.split(/,\s+/))
    assert.ok(
      commands.some((each) => each.includes(`dovegate ${name}`)),
      name,
    );
});

/** Files that pages show beside a configuration, by their paths. */
const shownFiles: ReadonlyMap<string, string> = new Map(
  pages
    .flatMap((path) => fencesOf(read(path)))
    .flatMap(({ info, text }) =>
      info.endsWith(' alone') ? [[`/etc/dovegate/${info.split(' ')[0]}`, text] as const] : [],
    ),
);

/** What the program says against a configuration; warnings aside. */
function errorsIn(text: string): string[] {
  const whole = text.replace('$1$...', `$1$${'A'.repeat(22)}==$${'A'.repeat(43)}=`);
  const { problems } = parseSettings('/etc/dovegate/dovegate.yaml', {
    readText: (file) => (file.endsWith('dovegate.yaml') ? whole : (shownFiles.get(file) ?? 'users: ["*"]')),
    glob: () => [],
    presetText,
  });
  return problems
    .filter(({ severity }) => severity !== 'warning')
    .map(({ path, message }) => `${path}: ${message}`);
}

/** Texts of the configurations in a page. */
function configurationsIn(path: string): string[] {
  return fencesOf(read(path))
    .filter(({ language, info }) => language === 'yaml' && (info === '' || info.endsWith('dovegate.yaml')))
    .map(({ text }) => text);
}

test('every configuration in the pages has no problem', () => {
  for (const path of pages)
    for (const text of configurationsIn(path)) assert.deepEqual(errorsIn(complete(text, example)), [], path);
});

type Sections = Readonly<Record<string, unknown>>;

const isMap = (value: unknown): value is Sections =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Entries of a section join, and one of the same name replaces the other: so does a reader who follows one page after another. */
function joined(before: Sections, after: Sections): Sections {
  const sections: Record<string, unknown> = { ...before };
  for (const [name, section] of Object.entries(after)) {
    const old = sections[name];
    sections[name] = isMap(old) && isMap(section) ? { ...old, ...section } : section;
  }
  return sections;
}

test('pages that lead to one another can be followed together: their configurations have no problem', () => {
  const sectionsOf = (text: string): Sections => z.record(z.string(), z.unknown()).parse(parse(text));
  let count = 0;
  for (const path of pages) {
    const own = configurationsIn(path);
    const links = [...read(path).matchAll(/\]\((?:docs\/)?([a-z-]+\.md)/g)].map(([, name]) => `docs/${name}`);
    for (const other of new Set(links.filter((each) => each !== path && pages.includes(each)))) {
      const others = configurationsIn(other);
      if (own.length === 0 || others.length === 0) continue;
      count += 1;
      const both = [example, ...own, ...others].map(sectionsOf).reduce(joined);
      assert.deepEqual(errorsIn(stringify(both)), [], `${path} and ${other}`);
    }
  }
  assert.ok(count > 30, `${count}`);
});

/** Programs of the system that the pages call, and words of the shell, besides dovegate. */
const foreign = new Set(
  `apt-get auditctl aws base64 buildah cat chmod chown cp curl docker done doveadm dovecot dpkg-deb export for grep groupadd install
  journalctl kubectl ln ls mkdir mv node git gpasswd npm openssl promtool python3 rclone rm rsync runuser scp sed sh source ssh sudo
  systemctl systemd-sysusers systemd-tmpfiles tail tar timeout umask userdel usermod zgrep`.split(/\s+/),
);

test('every command of a sh block is one that there is, with options that it has', async () => {
  const scripts = z
    .object({ scripts: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read('package.json')));
  const help = new Map<string, string>();
  for (const path of pages) {
    const blocks = fencesOf(read(path)).filter(({ language }) => language === 'sh' || language === 'console');
    const lines = blocks.flatMap(({ language, text }) =>
      text
        .replaceAll(/\\\n\s*/g, '')
        .split('\n')
        .filter((line) => language === 'sh' || line.startsWith('$ '))
        .map((line) => line.replaceAll(/^\$ |\s+#.*$/g, '').trim()),
    );
    for (const line of lines.filter((each) => each !== '' && !each.startsWith('#'))) {
      const [word = ''] = line.replace(/^(?:sudo|[A-Z_]+=(?:'[^']*'|\S+)) /, '').split(' ');
      const isOurs = word === 'dovegate' || word === 'echo';
      assert.ok(isOurs || foreign.has(word), `${path}: ${line}`);
      const script = /\bnpm run ([\w:]+)/.exec(line)?.[1];
      if (script !== undefined) assert.ok(Object.hasOwn(scripts.scripts, script), `${path}: ${line}`);
      if (word === 'docker') continue;
      for (const [, rest = ''] of line.matchAll(/\b(?:dovegate|main\.js) ([a-z].*?)(?= \| | && |$|\)|;)/g)) {
        const name = /^(?:audit fleet |audit |key |move )?[a-z-]+/.exec(rest)?.[0] ?? '';
        if (name === 'help' || name === '') continue;
        if (!help.has(name)) help.set(name, (await runWarm([...name.split(' '), '--help'])).text);
        const text = help.get(name) ?? '';
        assert.ok(text.startsWith(`Usage: dovegate ${name} `), `${path}: ${line}: no ${name}`);
        for (const [option] of rest
          .split(' -- ', 1)
          .join('')
          .matchAll(/(?<= )--[a-z][a-z-]*/g))
          assert.ok(text.includes(`${option} `), `${path}: ${line}: no ${option}`);
      }
    }
  }
});

/** A page with each item of a list in one line. */
const itemsOf = (path: string): string => read(path).replaceAll(/\n {2,}/g, ' ');

test('docs/presets.md names every preset, and what each takes and holds without being told', () => {
  const folder = new URL('config/presets/', projectRoot);
  const shape = z.object({ parameters: preset.shape.parameters });
  const said = Object.fromEntries(
    [...itemsOf('docs/presets.md').matchAll(/^- `([a-z-]+)`: (?:.*? With: (.*))?/gm)].map(
      ([, name, values = '']) => [name, values],
    ),
  );
  for (const file of readdirSync(folder)) {
    const { parameters = {} } = shape.parse(parse(readFileSync(new URL(file, folder), 'utf8')));
    const values = said[file.replace('.yaml', '')];
    assert.ok(values !== undefined, file);
    const named = [...values.matchAll(/`([a-z_]+)`(?: \(([^)]*)\))?/g)].map(([, name, fallback]) => [
      name,
      fallback?.replaceAll(/[`"]/g, ''),
    ]);
    const taken = Object.entries(parameters).map(([name, each]) => [
      name,
      each.default === undefined ? undefined : [each.default].flat().join(', '),
    ]);
    assert.deepEqual(named, taken, file);
  }
});

/** A page without its fences and comments. */
function proseOf(page: string): string {
  return page.replaceAll(/^( *)```.*?^\1```$/gms, '').replaceAll(/<!--.*?-->/gs, '');
}

test('README has at most 120 lines; no paragraph more than five; no cell more than a line and a half', () => {
  assert.ok(read('README.md').split('\n').length <= 121);
  for (const path of pages) {
    const lines = proseOf(read(path)).split('\n');
    let length = 0;
    for (const line of lines) {
      if (line.startsWith('|')) {
        for (const cell of line.split('|')) assert.ok(cell.trim().length <= 165, `${path}: ${cell.trim()}`);
        length = 0;
        continue;
      }
      assert.ok(line.length <= 130, `${path}: ${line}`);
      length = line.trim() === '' ? 0 : /^\s*(?:[-*]|\d+\.) /.test(line) ? 1 : length + 1;
      assert.ok(length <= 5, `${path}: a paragraph of more than five lines: ${line}`);
    }
  }
});

test('each page of docs/ ends with what can go wrong', () => {
  for (const path of pages.filter((each) => each !== 'README.md'))
    assert.match(
      [...proseOf(read(path)).matchAll(/^## .*$/gm)].at(-1)?.[0] ?? '',
      /^## What can go wrong/,
      path,
    );
});

test('docs/page.md names each screen of the menu by its title', () => {
  const table = read('src/page/web/screens.tsx');
  const titles = [...table.matchAll(/\btitle: '([^']+)',\s+key: /g)].map(([, title]) => title);
  const [, list = ''] = /^## The screens\n.*?\n\n(- .*?)\n\n/ms.exec(read('docs/page.md')) ?? [];
  const named = [...list.matchAll(/^- \*\*([^*]+)\*\*: /gm)].map(([, name]) => name);
  assert.ok(titles.length > 5);
  assert.deepEqual(new Set(named), new Set(titles));
});

test('docs/audit-guide.md explains each word that a report has in WHAT', () => {
  const page = proseOf(read('docs/audit-guide.md'));
  const words = [...page.matchAll(/\*\*(.+?)\*\*|`(.+?)`/gs)].flatMap(([, bold = '', code = '']) => [
    ...bold.split('; '),
    code,
  ]);
  for (const { what } of touchClasses) assert.ok(words.includes(what), what);
});

test('the figures in README are those of docs/performance.md', () => {
  const [table = ''] =
    /<!-- figures -->\n\n(.*?)\n\n<!-- \/figures -->/s.exec(read('README.md'))?.slice(1) ?? [];
  const source = proseOf(read('docs/performance.md'));
  const figures = [...table.matchAll(/\d+(?:\.\d+)? (?:x|us|MiB|commands\/s|ms)/g)].map(([each]) => each);
  assert.ok(figures.length > 3);
  for (const figure of figures) assert.ok(source.includes(figure), figure);
});

test('docs/client-http.md has the reasons for which dovegate answers in another way than Dovecot', () => {
  const { reasons } = httpDifferences();
  const list = Object.entries(reasons)
    .map(
      ([key, { dovecot, dovegate, why }]) =>
        `- **${key}**: Dovecot ${dovecot}. dovegate ${dovegate}: ${why}.`,
    )
    .join('\n');
  const begin = '<!-- differences -->\n';
  const path = new URL('docs/client-http.md', projectRoot);
  const page = read('docs/client-http.md');
  const [before = '', rest = ''] = page.split(begin);
  const [shown = '', after = ''] = rest.split('<!-- /differences -->');
  if (process.env['DOVEGATE_DOCS'] === 'write') {
    writeFileSync(path, `${before}${begin}\n${list}\n\n<!-- /differences -->${after}`);
    return;
  }
  assert.equal(shown.replaceAll(/\s+/g, ' ').trim(), list.replaceAll('\n', ' '));
});

/** Words with hyphens that are no codes. */
const otherWords = new Set(
  `in-clear used-up accepted-audit-keys break-glass client-ca doveadm-server dovegate-dedicated dovegate-journal dovegate-mcp
  dovegate-page dovegate-people dovegate-ship dsync-server force-resync hash-password input-failed input-not-utf8 no-such-user
  not-found openid-client over-quota page-sign-in receiver-client rotate-key session-close session-open stream-filling
  stream-filling-ended unlock-asked result-too-long unexpected-reply webhook-id wrong-oidc webhook-signature unknown-cursor`.split(
    /\s+/,
  ),
);

test('every code that a page names is one of docs/messages.md, or a preset', () => {
  const presets = readdirSync(new URL('config/presets/', projectRoot));
  const messages = read('docs/messages.md');
  for (const path of pages)
    for (const [, code = ''] of proseOf(read(path)).matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)) {
      const isOfFleet = findingKinds.some((kind) => kind === code);
      const isKnown = isOfFleet || otherWords.has(code) || presets.includes(`${code}.yaml`);
      assert.ok(isKnown || messages.includes(`\`${code}\``), `${path}: ${code}`);
    }
});

test('the presets page names every command that the janitor may run', () => {
  const [row = ''] = /^- `retention-janitor`.*$/m.exec(itemsOf('docs/presets.md')) ?? [];
  const { allow } = z
    .object({ allow: z.array(z.object({ command: z.string() })) })
    .parse(parse(read('config/presets/retention-janitor.yaml')));
  assert.equal(allow.length, 4);
  for (const { command } of allow) assert.ok(row.includes(`\`${command}\``), command);
});
