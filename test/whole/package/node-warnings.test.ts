// Goal: no person and no log meets a warning of Node itself, such as one that a function is deprecated, from any subcommand of the bundle.
// Phases: every file of the bundle is loaded; subcommands run; the daemon starts and ends. With the Node of the packages, or with this
// one where that was not fetched (`npm run package`).
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from '../../architecture/project.js';
import { builtProgram, startDaemon } from '../../kit/gate/daemon.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';

const fetched = join(root, '.runtime');
const ofPackages = (existsSync(fetched) ? readdirSync(fetched) : [])
  .filter((name) => name.endsWith(`-${process.arch}`))
  .map((name) => join(fetched, name, 'node'));
/** A newer Node warns of more. */
const programs = ofPackages.length > 0 ? ofPackages : [process.execPath];

/** What was fetched is kept without the right to run it. */
function runnable(program: string, folder: string): string {
  if (program === process.execPath) return program;
  const copy = join(folder, 'node');
  copyFileSync(program, copy);
  chmodSync(copy, 0o755);
  return copy;
}

const warned = /\(node:\d+\)|Warning:|deprecat/i;
const env = { ...process.env, NODE_OPTIONS: '' };
const configuration = `version: 1
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
backends:
  mail1: { address: "unix:backend.sock", shared_namespaces: [] }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support: { users: ["*@example.org"], allow: [quota get] }
state: state
audit: { directory: audit, memory: off, reserve: 4KiB }
admin: { unix: admin.sock }
`;
/** Each loads a part of its own; that some fail without a daemon or a journal does not matter. */
const commands =
  `--version|--help|check --verbose|check --start|status|doctor|can --user anna support|test|suggest|replay
audit search|audit verify|audit report|audit tail --help|audit show 1|audit fleet status|kill 1|backend drain mail1|reload
key new|hash-password|completion bash|messages|init --defaults|send quota get -u a@example.org`.split(
    /[|\n]/,
  );
const withConfig = /^(?:check|status|doctor|test|suggest|replay|audit (?!tail|fleet)|kill|backend|reload)/;

for (const each of programs) {
  const name = each === process.execPath ? `Node ${process.versions.node}` : each.split('/').at(-2);
  void test(`no warning of Node from the bundle: ${name}`, async (t) => {
    const folder = openFolder(t);
    const program = runnable(each, folder);
    writeFileSync(join(folder, 'dovegate.yaml'), configuration);
    const dist = dirname(builtProgram);
    // Programs and threads run when they are loaded.
    const parts = readdirSync(dist).filter((file) => /-[A-Z0-9]{8}\.js$/.test(file));
    assert.ok(parts.length > 50, `${parts.length} files`);
    const load = parts.map((file) => `import ${JSON.stringify(pathToFileURL(join(dist, file)).href)};`);
    writeFileSync(join(folder, 'all.mjs'), load.join('\n'));
    const loaded = await runProgram(program, ['all.mjs'], { cwd: folder, env });
    assert.deepEqual([loaded.exit, loaded.stderr], [0, '']);
    for (const command of commands) {
      const config = withConfig.test(command) ? ['--config', 'dovegate.yaml'] : [];
      const done = await runProgram(program, [builtProgram, ...command.split(' '), ...config], {
        cwd: folder,
        env,
      });
      assert.doesNotMatch(done.stderr, warned, command);
    }
    const launcher = ['sh', '-c', 'shift; exec "$0" "$@"', program];
    const daemon = await startDaemon(t, { config: configuration, launcher });
    assert.deepEqual((await daemon.stop()).code, 0);
    assert.doesNotMatch(daemon.output(), warned);
  });
}
