// Goal: the release command makes what it says, and nothing when it refuses or fails.
// A small project of its own is released, whose test runner and packer only note how they were called; repository.test.ts has what is
// packed. Never: a push, a publish, or a commit with half of the changes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../architecture/project.js';

const copied =
  'package.json package-lock.json .npmrc .gitignore LICENSE scripts/setup.mjs scripts/build-test.mjs scripts/copy-web.mjs scripts/release.mjs';
const envOf = (at: string): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${join(at, '.git/tools')}:${process.env['PATH']}`,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.org',
});
const changelog =
  '# Changelog\n\n## Unreleased\n\n- Security: a $& fixed.\n\n### Detail\n\n- More.\n\n## 0.1.0 (2026-01-01)\n\n- First.\n';

/** What the packages need of the system. */
const tools = ['dpkg-deb', 'rpmbuild', 'gpg', 'createrepo_c'];

/** It names the version of the tree four times, and others. */
const pageOf = (version: string): string =>
  `\`dovegate_${version}-1_amd64.deb\`, dovegate:${version}\n${version}\ndovegate   ${version}, serving\n0.1.0 of another, dovegate 0.1.01\n`;

interface Project {
  readonly at: string;
  readonly run: (program: string, ...args: string[]) => { status: number | null; output: string };
  /** Runs the release command. */
  readonly release: (...args: string[]) => { status: number | null; output: string };
  /** What would have changed, were it not refused: commits, tags, tree. */
  readonly state: () => string;
}

function withProject(use: (project: Project) => void): void {
  const at = mkdtempSync(join(tmpdir(), 'dovegate-release-'));
  const run: Project['run'] = (program, ...args) => {
    const done = spawnSync(program, args, { cwd: at, env: envOf(at), encoding: 'utf8' });
    assert.equal(done.error, undefined);
    return { status: done.status, output: done.stdout + done.stderr };
  };
  const git = (...args: string[]): string => {
    const { status, output } = run('git', ...args);
    assert.equal(status, 0, output);
    return output;
  };
  try {
    for (const folder of ['scripts', 'src/page/web', 'test'])
      mkdirSync(join(at, folder), { recursive: true });
    for (const name of copied.split(' ')) cpSync(join(root, name), join(at, name));
    setVersion(join(at, 'package.json'), '0.1.0', 1);
    setVersion(join(at, 'package-lock.json'), '0.1.0', 2);
    writeFileSync(join(at, 'CHANGELOG.md'), changelog);
    mkdirSync(join(at, 'changes'));
    writeFileSync(join(at, 'changes/new-c.md'), '- New: c.\n');
    writeFileSync(join(at, 'changes/security-d.md'), '- Security: d.\n');
    mkdirSync(join(at, 'docs'));
    writeFileSync(join(at, 'docs/cli.md'), pageOf('0.1.0'));
    for (const name of ['src/main.ts', 'src/page/web/main.tsx'])
      writeFileSync(join(at, name), 'export {};\n');
    for (const name of ['style.css', 'index.html']) writeFileSync(join(at, 'src/page/web', name), '');
    writeFileSync(
      join(at, 'scripts/test.mjs'),
      "import { writeFileSync } from 'node:fs';\nwriteFileSync('.git/asked', `${process.argv.slice(2)}|${process.env.DOVEGATE_NO_SKIP}`);\nprocess.exit(process.env.FAIL ? 1 : 0);\n",
    );
    writeFileSync(
      join(at, 'scripts/build.mjs'),
      "import { mkdirSync, writeFileSync } from 'node:fs';\nmkdirSync('dist', { recursive: true });\nwriteFileSync('dist/main.js', '');\n",
    );
    writeFileSync(
      join(at, 'scripts/package.mjs'),
      "import { mkdirSync, writeFileSync } from 'node:fs';\nmkdirSync('dist-release');\nwriteFileSync('dist-release/SHA256SUMS', `${process.argv.slice(2)}|${process.env.SOURCE_DATE_EPOCH}`);\n",
    );
    symlinkSync(join(root, 'node_modules'), join(at, 'node_modules'));
    git('init', '--quiet', '--initial-branch=main');
    mkdirSync(join(at, '.git/tools'));
    for (const tool of tools) symlinkSync('/bin/true', join(at, '.git/tools', tool));
    writeFileSync(join(at, '.git/info/exclude'), 'node_modules\n');
    git('add', '.');
    git('commit', '--quiet', '--message', 'start');
    use({
      at,
      run,
      release: (...args) => run(process.execPath, 'scripts/release.mjs', ...args),
      state: () => git('log', '--format=%H') + git('tag') + git('status', '--porcelain'),
    });
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
}

/** Replaces the first versions of a file: package.json holds its own once, the lockfile twice. */
function setVersion(path: string, version: string, times: number): void {
  let left = times;
  const change = (line: string): string => (left-- > 0 ? `"version": "${version}"` : line);
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/"version": "[^"]*"/g, change));
}

void test('a release has its version everywhere, its packages, one commit and one annotated tag', () => {
  withProject(({ at, run, release }) => {
    const { status, output } = release('0.2.0');
    assert.equal(status, 0, output);
    assert.equal(readFileSync(join(at, '.git/asked'), 'utf8'), 'full|1');
    assert.match(
      output,
      /git push origin HEAD v0\.2\.0\n {2}npm publish \.\/dist-release\/dovegate-0\.2\.0\.tgz /,
    );

    const written = readFileSync(join(at, 'CHANGELOG.md'), 'utf8');
    const day = /^## 0\.2\.0 \((\d{4}-\d\d-\d\d)\)$/m.exec(written)?.[1];
    assert.ok(day !== undefined);
    assert.equal(
      written,
      changelog
        .replace('## Unreleased\n', () => `## Unreleased\n\n## 0.2.0 (${day})\n`)
        .replace('- More.\n', '- More.\n- Security: d.\n- New: c.\n'),
    );
    const changes = run('git', 'show', '--format=%s', '--numstat', 'HEAD').output;
    assert.equal(
      changes,
      'release: 0.2.0\n\n4\t0\tCHANGELOG.md\n0\t1\tchanges/new-c.md\n0\t1\tchanges/security-d.md\n3\t3\tdocs/cli.md\n2\t2\tpackage-lock.json\n1\t1\tpackage.json\n',
    );
    assert.equal(run('git', 'cat-file', '-t', 'v0.2.0').output, 'tag\n');
    assert.match(
      run('git', 'cat-file', '-p', 'v0.2.0').output,
      /\n\ndovegate 0\.2\.0\n\n- Security: a \$& fixed\.\n\n### Detail\n\n- More\.\n- Security: d\.\n- New: c\.\n$/,
    );
    assert.equal(run('git', 'rev-parse', 'v0.2.0^{}').output, run('git', 'rev-parse', 'HEAD').output);
    assert.equal(run('git', 'status', '--porcelain').output, '');

    assert.equal(readFileSync(join(at, 'docs/cli.md'), 'utf8'), pageOf('0.2.0'));
    // The tag makes the same packages again: they bear its time.
    assert.equal(
      readFileSync(join(at, 'dist-release/SHA256SUMS'), 'utf8'),
      `--version,0.2.0,--arch,all|${run('git', 'log', '-1', '--format=%ct').output.trim()}`,
    );

    const again = release('0.2.0', '--quick');
    assert.equal(again.status, 1);
    assert.match(
      again.output,
      /refused: there is a tag v0\.2\.0 already\nrefused: there is no change: CHANGELOG/,
    );
  });
});

void test('a dry run says what would be done and does nothing', () => {
  withProject(({ at, release, state }) => {
    const before = state();
    const { status, output } = release('0.2.0', '--dry-run', '--quick');
    assert.equal(status, 0, output);
    assert.match(output, /scripts\/test\.mjs check,/);
    assert.match(release('0.2.0', '--dry-run', '--sign', 'me').output, / --arch all --sign me, into /);
    assert.match(
      output,
      /## 0\.2\.0 \(\d{4}-\d\d-\d\d\)\n\n- Security: a \$& fixed\.\n\n### Detail\n\n- More\.\n- Security: d\.\n- New: c\.\n$/,
    );
    assert.equal(state(), before);
    assert.ok(!existsSync(join(at, 'dist-release')) && !existsSync(join(at, '.git/asked')));
  });
});

void test('what must not be released is refused before anything runs', () => {
  withProject(({ at, release, state }) => {
    const before = state();
    for (const version of ['0.0.9', '0.0.10']) {
      const { status, output } = release(version);
      assert.deepEqual([status, output], [1, `refused: ${version} is not greater than 0.1.0\n`]);
    }
    for (const wrong of ['1', 'v1.0.0', '1.0.0-rc.1', '01.0.0', '1.0.0 2.0.0', '1.0.0 --force'])
      assert.equal(release(...wrong.split(' ')).status, 64, wrong);
    assert.equal(release().status, 64);
    assert.equal(state(), before);
    writeFileSync(join(at, 'src/new.ts'), '');
    const { status, output } = release('0.2.0', '--dry-run');
    assert.deepEqual([status, output], [1, 'refused: the tree has changes that are not committed\n']);
    assert.ok(!existsSync(join(at, '.git/asked')));
  });
});

void test('the first release has the version that is there; a file of changes/ that names no kind is refused', () => {
  withProject(({ at, release }) => {
    assert.match(release('0.1.0', '--dry-run').output, /^would release dovegate 0\.1\.0 /);
    writeFileSync(join(at, 'changes/other.md'), '- x\n');
    assert.match(
      release('0.2.0', '--dry-run').output,
      /^refused: changes\/other\.md is not named security-, /,
    );
  });
});

void test('when a step fails, nothing has changed', () => {
  withProject(({ run, release, state }) => {
    const before = state();
    const tests = run('env', 'FAIL=1', process.execPath, 'scripts/release.mjs', '0.2.0');
    assert.equal(tests.status, 1, tests.output);
    assert.equal(state(), before);
    // The commit fails, after all files were changed.
    const commit = run('env', 'GIT_AUTHOR_DATE=never', process.execPath, 'scripts/release.mjs', '0.2.0');
    assert.notEqual(commit.status, 0, commit.output);
    assert.equal(state(), before);
    assert.equal(release('0.2.0').status, 0);
  });
});
