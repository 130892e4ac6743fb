// Goal: the examples for containers hold configurations that dovegate takes, and name what the image has.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { root, textOf } from '../../architecture/project.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';

/** What a text says of a configuration: every problem, warnings too. */
function problemsOf(text: string): string[] {
  const read = { readText: () => text, glob: () => [], presetText: () => undefined };
  return parseSettings('/etc/dovegate/dovegate.yaml', read).problems.map(
    ({ path, message }) => `${path}: ${message}`,
  );
}

/** With `ship`, which is there as a comment. */
function documentsOf(path: string): unknown[] {
  const text = textOf(path).replace(/^( *)# (?= *(?:- [./{a-z]|# |[a-z][\w-]*:(?: |$)))/gim, '$1');
  // As kubectl and compose read it: 0440 is octal.
  return parseAllDocuments(text, { version: '1.1' }).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS();
  });
}

const [, numbers = ''] =
  /\[dovegate, page, ship, journal\] = \[([\d, ]+)\]/.exec(textOf('scripts/image.mjs')) ?? [];
/** Users of the image, each with its group, and the group of those who read the journal. */
const [user = [], pageUser = [], shipUser = [], [journalGroup] = []] = numbers
  .split(', ')
  .map((number) => [Number(number), Number(number)]);
/** Folders of the image, which give a fresh volume its owner. */
const folders = [...textOf('scripts/image.mjs').matchAll(/^ {2}\['(\/\S+)', \w+, 0o/gm)].map(
  ([, path]) => path,
);

void test('compose: the configuration is sound, the sockets belong to whom Dovecot and the image name', () => {
  const other = z.object({
    image: z.string(),
    command: z.tuple([z.enum(['page', 'ship']), z.literal('--door'), z.string()]),
    user: z.string(),
    group_add: z.tuple([z.string()]),
    read_only: z.literal(true),
    volumes: z.array(z.string()),
  });
  const shape = z.object({
    configs: z.object({ dovegate: z.object({ content: z.string() }) }),
    services: z.object({
      dovecot: z.object({ build: z.object({ dockerfile_inline: z.string() }) }),
      dovegate: z.object({
        image: z.string(),
        read_only: z.literal(true),
        group_add: z.array(z.string()),
        volumes: z.array(z.string()),
      }),
      page: other,
      ship: other,
    }),
    volumes: z.record(z.string(), z.null()),
  });
  const [compose] = documentsOf('config/compose.example.yaml').map((each) => shape.parse(each));
  assert.ok(compose !== undefined);
  const { content } = compose.configs.dovegate;
  assert.deepEqual(problemsOf(content), []);
  const { page, ship, dovegate } = compose.services;
  const [group, ...shared] = dovegate.group_add;
  assert.deepEqual(shared, [pageUser[1], journalGroup].map(String));
  const directory = /directory: (\S+),/.exec(content)?.[1];
  assert.ok(content.includes('group: dovegate-journal }'));
  // Others are other users, with the daemon's journal and a door, and nothing of it that they could write or read a secret in.
  const own = { page: [], ship: ['ship-state:/var/lib/dovegate-ship', './ship:/etc/dovegate/ship:ro'] };
  for (const [name, { image, user: runs, group_add: groups, command, volumes }, who] of [
    ['page', page, pageUser],
    ['ship', ship, shipUser],
  ] as const) {
    assert.deepEqual([image, runs, groups], [dovegate.image, who.join(':'), [String(journalGroup)]], name);
    const [subcommand, , door] = command;
    assert.equal(subcommand, name);
    const given = volumes.slice(0, 2);
    assert.deepEqual(
      given.map((volume) => volume.replace(/^[\w-]+:/, '')),
      [`${directory}:ro`, `${dirname(door)}:ro`],
    );
    assert.deepEqual(volumes.slice(2), own[name]);
    for (const volume of given) {
      assert.ok(dovegate.volumes.includes(volume.replace(/:ro$/, '')), volume);
      assert.ok(folders.includes(volume.split(':')[1] ?? ''), volume);
    }
    for (const volume of volumes.filter((each) => !each.startsWith('.')))
      assert.ok((volume.split(':')[0] ?? '') in compose.volumes, volume);
  }
  assert.ok(content.includes(`door: ${page.command[2]}\n`));
  assert.match(content, new RegExp(`group: "${group}"`));
  const { dockerfile_inline: dovecot } = compose.services.dovecot.build;
  assert.match(dovecot, new RegExp(`useradd --uid ${user[0]} dovegate`));
  assert.match(dovecot, new RegExp(`groupadd --gid ${group} support`));
});

/** What is read here of a manifest; the types of kubernetes-types hold it to the rest. */
const container = z.object({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).optional(),
  securityContext: z.object({
    runAsUser: z.number(),
    runAsGroup: z.number(),
    readOnlyRootFilesystem: z.literal(true),
    allowPrivilegeEscalation: z.literal(false),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  volumeMounts: z.array(
    z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }),
  ),
  livenessProbe: z.object({ exec: z.object({ command: z.array(z.string()) }) }).optional(),
});
const named = z.object({ name: z.string() });
const workload = z.object({
  kind: z.enum(['Deployment', 'StatefulSet']),
  spec: z.object({
    volumeClaimTemplates: z.array(z.object({ metadata: named })).default([]),
    template: z.object({
      spec: z.object({
        automountServiceAccountToken: z.literal(false),
        securityContext: z.object({
          runAsNonRoot: z.literal(true),
          seccompProfile: z.object({ type: z.literal('RuntimeDefault') }),
          supplementalGroups: z.array(z.number()).optional(),
        }),
        initContainers: z.array(container),
        containers: z.array(container),
        volumes: z.array(
          named.extend({
            emptyDir: z.object({ medium: z.string().optional() }).optional(),
            secret: z.object({ defaultMode: z.number() }).optional(),
          }),
        ),
      }),
    }),
  }),
});

const manifests = ['sidecar', 'standalone'].map((form) => `config/kubernetes-${form}.example.yaml`);

/** Configuration, Pod and Services of an example. */
function readManifest(path: string) {
  const documents = documentsOf(path).map((each) => ({
    ...z.object({ kind: z.string() }).parse(each),
    each,
  }));
  const [map, work] = ['ConfigMap', 'Deployment|StatefulSet'].map(
    (kinds) => documents.find(({ kind }) => kinds.split('|').includes(kind))?.each,
  );
  const { spec } = workload.parse(work);
  const pod = spec.template.spec;
  const text = z.object({ data: z.object({ 'dovegate.yaml': z.string() }) }).parse(map).data['dovegate.yaml'];
  const all = [...pod.initContainers, ...pod.containers];
  const daemon = all.find(({ name }) => name === 'dovegate') ?? assert.fail('no container dovegate');
  const claims = spec.volumeClaimTemplates.map(({ metadata }) => metadata);
  const service = z.object({
    spec: z.object({ ports: z.array(z.object({ port: z.number(), targetPort: z.string() })) }),
  });
  const services = documents.filter(({ kind }) => kind === 'Service').map(({ each }) => service.parse(each));
  const volumes = [...pod.volumes, ...claims].map(({ name }) => name);
  return { text, pod, all, daemon, volumes, services };
}

void test('kubernetes: each object is one that the API has, field by field', async (t) => {
  const folder = openFolder(t);
  const types = join(root, 'node_modules/kubernetes-types');
  const shape = z.object({ apiVersion: z.string(), kind: z.string() });
  const sources = manifests.map((path) =>
    documentsOf(path)
      .map((document, index) => {
        const { apiVersion, kind } = shape.parse(document);
        const file = apiVersion === 'v1' ? 'core/v1' : apiVersion;
        const text = JSON.stringify(document, undefined, 1);
        return `import type { ${kind} as T${index} } from '${types}/${file}';\nexport const o${index}: T${index} = ${text};\n`;
      })
      .join(''),
  );
  const files = { 'sidecar.ts': sources[0] ?? '', 'standalone.ts': sources[1] ?? '' };
  // So that a check that notices nothing is noticed.
  const misspelt = files['standalone.ts'].replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem');
  for (const [name, text] of Object.entries({ ...files, 'misspelt.ts': misspelt }))
    writeFileSync(join(folder, name), text);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const options = '--noEmit --strict --module esnext --moduleResolution bundler --types '.split(' ');
  const words = [compiler, ...options, ...Object.keys(files), 'misspelt.ts'];
  const compiled = await runProgram(process.execPath, words, { cwd: folder });
  const faults = compiled.text.split('\n').filter((line) => line.includes('error TS'));
  assert.equal(faults.length, 1, compiled.text);
  assert.match(faults[0] ?? '', /^misspelt\.ts\(.*readOnlyRootFileSystem/);
});

for (const path of manifests)
  void test(`${path}: the configuration is sound, and the containers run as the image is made`, () => {
    const { text, pod, all, daemon, volumes, services } = readManifest(path);
    assert.deepEqual(problemsOf(text), []);
    const own = all.filter(({ image }) => /\/dovegate:/.test(image));
    const users: Readonly<Record<string, readonly number[]>> = { page: pageUser, ship: shipUser };
    for (const { name, securityContext: who } of own)
      assert.deepEqual([who.runAsUser, who.runAsGroup], users[name] ?? user, name);
    for (const { volumeMounts } of all)
      for (const { name } of volumeMounts) assert.ok(volumes.includes(name), name);
    for (const { name, secret } of pod.volumes)
      assert.ok(secret === undefined || secret.defaultMode === 0o440, name);
    // Each path of the daemon is in a volume; those of the page alone are the page's.
    const paths = [...text.matchAll(/(?:\s|unix:)(\/[\w/.-]+)/g)].flatMap(([, each = '']) => each);
    assert.ok(paths.length > 5);
    for (const each of paths.filter((one) => !one.startsWith('/run/dovegate-page/')))
      assert.ok(
        daemon.volumeMounts.some(({ mountPath }) => `${each}/`.startsWith(`${mountPath}/`)),
        each,
      );
    // Clients reach the listener through the Service.
    const [doveadm] = daemon.ports ?? [];
    assert.match(text, new RegExp(`tcp: 0\\.0\\.0\\.0:${doveadm?.containerPort}$`, 'm'));
    const targets = services.flatMap(({ spec }) => spec.ports).map(({ targetPort }) => targetPort);
    assert.ok(targets.includes(doveadm?.name ?? ''));
    for (const target of targets)
      assert.ok(
        all.some(({ ports = [] }) => ports.some(({ name }) => name === target)),
        target,
      );
    const [program, , script = ''] = daemon.livenessProbe?.exec.command ?? [];
    assert.equal(program, 'node');
    assert.ok(textOf('Dockerfile').includes(JSON.stringify(script)), 'the probe of the image');
  });

void test('kubernetes: page and ship have a door and the journal, and nothing else of the daemon', () => {
  const { text, pod, all, daemon } = readManifest('config/kubernetes-standalone.example.yaml');
  const find = (name: string) => all.find((each) => each.name === name) ?? assert.fail(name);
  const [maker, page, ship] = [find('folders'), find('page'), find('ship')];
  assert.deepEqual(pod.securityContext.supplementalGroups, [pageUser[1], journalGroup]);
  assert.ok(text.includes('group: dovegate-journal }') && text.includes(`door: ${page.args?.[2]}\n`));
  const directory = /directory: (\S+),/.exec(text)?.[1];
  const ofDaemon = daemon.volumeMounts.map(({ name }) => name);
  for (const { name, args, volumeMounts } of [page, ship]) {
    const door = args?.[2] ?? '';
    assert.deepEqual(args, [name, '--door', door]);
    const given = volumeMounts.filter((each) => ofDaemon.includes(each.name) || each.name === 'ship-door');
    assert.deepEqual(
      given.map(({ mountPath, readOnly }) => [mountPath, readOnly]),
      [
        [directory, true],
        [dirname(door), true],
      ],
    );
    assert.ok(folders.includes(dirname(door)), door);
  }
  // The first container makes the folder of the journal, and one for records in memory that outlives the others.
  const memory = dirname(/memory: (\S+),/.exec(text)?.[1] ?? '');
  const [program, , script = ''] = maker.command ?? [];
  assert.equal(program, 'node');
  assert.ok(script.includes(`for (const path of ['${memory}', '${directory}'])`));
  const volume = maker.volumeMounts.find(({ mountPath }) => memory.startsWith(`${mountPath}/`))?.name;
  assert.ok(daemon.volumeMounts.some(({ name }) => name === volume));
  assert.equal(pod.volumes.find(({ name }) => name === volume)?.emptyDir?.medium, 'Memory');
});
