// Goal: the examples for containers hold configurations that dovegate takes, and name what the image has.
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { parseSettings } from '../../src/domain/config/parse-settings.js';
import { textOf } from '../architecture/project.js';

/** What a text says of a configuration: every problem, warnings too. */
function problemsOf(text: string): string[] {
  const read = { readText: () => text, glob: () => [], presetText: () => undefined };
  return parseSettings('/etc/dovegate/dovegate.yaml', read).problems.map(
    ({ path, message }) => `${path}: ${message}`,
  );
}

function documentsOf(path: string): unknown[] {
  return parseAllDocuments(textOf(path)).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS();
  });
}

/** Users of the image, each with its group. */
const [user = [], pageUser = []] = [
  ...(/\[dovegate, page\] = \[(\d+), (\d+)\]/.exec(textOf('scripts/image.mjs')) ?? []),
]
  .slice(1)
  .map((number) => [number, number]);
const [, pageGroup] = pageUser;
/** Folders of the image, which give a fresh volume its owner. */
const folders = [...textOf('scripts/image.mjs').matchAll(/^ {2}\['(\/\S+)', \w+, 0o/gm)].map(
  ([, path]) => path,
);

void test('compose: the configuration is sound, the sockets belong to whom Dovecot and the image name', () => {
  const shape = z.object({
    configs: z.object({ dovegate: z.object({ content: z.string() }) }),
    services: z.object({
      dovecot: z.object({ build: z.object({ dockerfile_inline: z.string() }) }),
      dovegate: z.object({
        image: z.string(),
        read_only: z.literal(true),
        group_add: z.tuple([z.string(), z.string()]),
        volumes: z.array(z.string()),
      }),
      page: z.object({
        image: z.string(),
        command: z.tuple([z.literal('page'), z.literal('--door'), z.string()]),
        user: z.string(),
        read_only: z.literal(true),
        volumes: z.array(z.string()),
      }),
    }),
  });
  const [compose] = documentsOf('config/compose.example.yaml').map((each) => shape.parse(each));
  assert.ok(compose !== undefined);
  const { content } = compose.configs.dovegate;
  assert.deepEqual(problemsOf(content), []);
  const { page, dovegate } = compose.services;
  const [group, shared] = dovegate.group_add;
  // The page is another user, with the daemon's journal and door, and nothing that it could write or read a secret in.
  assert.deepEqual([page.image, page.user, shared], [dovegate.image, pageUser.join(':'), pageGroup]);
  const [, , door] = page.command;
  assert.ok(content.includes(`door: ${door}\n`) && content.includes('group: dovegate-page }'));
  const directory = /directory: (\S+),/.exec(content)?.[1];
  assert.deepEqual(
    page.volumes.map((volume) => volume.replace(/^(\w+):/, '')),
    [`${directory}:ro`, `${dirname(door)}:ro`],
  );
  for (const volume of page.volumes) {
    assert.ok(dovegate.volumes.includes(volume.replace(/:ro$/, '')), volume);
    assert.ok(folders.includes(volume.split(':')[1] ?? ''), volume);
  }
  assert.match(content, new RegExp(`group: "${group}"`));
  const { dockerfile_inline: dovecot } = compose.services.dovecot.build;
  assert.match(dovecot, new RegExp(`useradd --uid ${user[0]} dovegate`));
  assert.match(dovecot, new RegExp(`groupadd --gid ${group} support`));
});

void test('kubernetes: the configuration is sound, and the sidecar runs as the image is made', () => {
  const securityContext = z.object({
    runAsUser: z.number(),
    runAsGroup: z.number(),
    readOnlyRootFilesystem: z.literal(true),
  });
  const mounts = z.array(
    z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }),
  );
  const shape = z.object({
    kind: z.string(),
    data: z.object({ 'dovegate.yaml': z.string() }).optional(),
    spec: z
      .object({
        template: z
          .object({
            spec: z.object({
              securityContext: z.object({
                fsGroup: z.number(),
                supplementalGroups: z.tuple([z.number()]),
              }),
              volumes: z.array(
                z.object({
                  name: z.string(),
                  emptyDir: z.object({ medium: z.string().optional() }).optional(),
                }),
              ),
              initContainers: z.tuple([
                z.object({ command: z.array(z.string()), securityContext, volumeMounts: mounts }),
                z.object({
                  securityContext,
                  volumeMounts: mounts,
                  livenessProbe: z.object({ exec: z.object({ command: z.array(z.string()) }) }),
                }),
                z.object({ args: z.array(z.string()), securityContext, volumeMounts: mounts }),
              ]),
            }),
          })
          .optional(),
      })
      .optional(),
  });
  const documents = documentsOf('config/kubernetes.example.yaml').map((each) => shape.parse(each));
  assert.deepEqual(
    documents.map(({ kind }) => kind),
    ['ConfigMap', 'PersistentVolumeClaim', 'Deployment'],
  );
  const text = documents[0]?.data?.['dovegate.yaml'] ?? '';
  const pod = documents[2]?.spec?.template?.spec;
  assert.ok(pod !== undefined);
  assert.deepEqual(problemsOf(text), []);
  assert.match(text, new RegExp(`group: "${pod.securityContext.fsGroup}"`));
  const [maker, { livenessProbe, volumeMounts }, page] = pod.initContainers;
  for (const [index, { securityContext: who }] of pod.initContainers.entries())
    assert.deepEqual([who.runAsUser, who.runAsGroup].map(String), index === 2 ? pageUser : user, `${index}`);
  // The page has the daemon's journal and door, and nothing else of it.
  assert.equal(String(pod.securityContext.supplementalGroups[0]), pageGroup);
  const door = page.args[2] ?? '';
  assert.deepEqual(page.args, ['page', '--door', door]);
  assert.ok(text.includes(`door: ${door}\n`) && text.includes('group: dovegate-page }'));
  const directory = /directory: (\S+),/.exec(text)?.[1];
  const shared = page.volumeMounts.filter(({ name }) => volumeMounts.some((each) => each.name === name));
  assert.deepEqual(
    shared.map(({ mountPath, readOnly }) => [mountPath, readOnly]),
    [
      [directory, true],
      [dirname(door), true],
    ],
  );
  // Records are in memory that outlives the container, in a directory that the first container makes.
  const memory = dirname(/memory: (\S+),/.exec(text)?.[1] ?? '');
  assert.equal(maker.command.at(-1), memory);
  const volume = volumeMounts.find(({ mountPath }) => memory.startsWith(`${mountPath}/`))?.name;
  assert.deepEqual(
    [maker.volumeMounts[0]?.name, pod.volumes.find(({ name }) => name === volume)?.emptyDir?.medium],
    [volume, 'Memory'],
  );
  const [, , script = ''] = livenessProbe.exec.command;
  assert.ok(textOf('Dockerfile').includes(JSON.stringify(script)), 'the probe of the image');
});
