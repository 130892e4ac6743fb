// Goal: jobs are moved and put back as root, by rename and with owner and mode kept, and what was there lies in a folder of root alone.
// What must not happen: root's rights lent to the owner of a file or of its folder, a password that others can read, a change that is lost.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { jobsHere, openJobFile } from '../../../src/gate/begin/job-files.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { fakePrograms, searchIn } from '../../kit/plain/names.js';

const script = '#!/bin/sh\ndoveadm quota get -A\n';
const line = 'PATH=/usr/lib/dovegate/bin:$PATH\n';
const moved = script.replace('\n', `\n${line}`);
const nobody = 65_534;

function openSite(t: TestContext) {
  const folder = openFolder(t);
  const at = (name: string): string => join(folder, name);
  const put = (name: string, text = script, mode = 0o755, uid = 0): string => {
    writeFileSync(at(name), text);
    chownSync(at(name), uid, uid);
    chmodSync(at(name), mode);
    return at(name);
  };
  const run = (what: 'jobs' | 'back', ...args: string[]) =>
    runWarm(['move', what, '--copies', at('copies'), ...args]);
  return { at, put, run, read: (name: string) => readFileSync(at(name), 'utf8') };
}

/** A job of nobody in a folder of nobody, and a file of root. */
function openHome(t: TestContext, mode: number) {
  const site = openSite(t);
  const secret = site.put('secret', 'secret\n', 0o600);
  mkdirSync(site.at('home'));
  chownSync(site.at('home'), nobody, nobody);
  return { ...site, secret, job: site.put('home/job', script, mode, nobody) };
}

const isRoot = process.getuid?.() === 0;
const asRoot = (name: string, run: (t: TestContext) => Promise<void> | void): void =>
  void test(name, { skip: isRoot ? false : 'it is for root' }, run);

asRoot(
  'a dry run changes nothing; --write adds the line; back takes it out, and says what was changed since',
  async (t) => {
    const { at, put, run, read } = openSite(t);
    const [job, other] = [put('job', script, 0o750, nobody), put('other')];
    const tried = await run('jobs', job, other);
    assert.equal(tried.exit, 0, tried.text);
    assert.match(
      tried.text,
      /job: 1 of 1 calls of doveadm go to dovegate; to add after line 1\n {2}\+ PATH=.*\n {2}2: doveadm quota/,
    );
    assert.match(tried.text, /\nnothing was written; --write /);
    assert.equal(read('job'), script);
    assert.throws(() => statSync(at('copies')), /ENOENT/);

    const written = await run('jobs', '--write', job, other);
    assert.equal(written.exit, 0, written.text);
    assert.equal(read('job'), moved);
    const { uid, gid, mode } = statSync(job);
    assert.deepEqual([uid, gid, mode & 0o7777], [nobody, nobody, 0o750]);
    assert.deepEqual(readdirSync(at('')).toSorted(), ['copies', 'job', 'other']);
    assert.equal(statSync(at('copies')).mode & 0o7777, 0o700);
    for (const name of readdirSync(at('copies')))
      assert.equal(statSync(at(`copies/${name}`)).mode & 0o777, 0o600);
    assert.equal(read('copies/1.copy'), script);
    assert.match((await run('jobs', '--write', job)).text, /the line is there already/);

    writeFileSync(other, `${moved}doveadm who\n`);
    const back = await run('back');
    assert.equal(back.exit, 0, back.text);
    assert.match(
      back.text,
      /other: the line is out; the copy is \S+2\.copy; changed since, and kept:\n {2}\+ doveadm who\n/,
    );
    assert.match(back.text, /job: restored\n/);
    assert.equal(read('job'), script);
    assert.equal(read('other'), `${script}doveadm who\n`);
    assert.match((await run('back')).text, /nothing is moved/);
    const unknown = await run('back', job);
    assert.equal(unknown.exit, 64, unknown.text);
  },
);

asRoot('back leaves a file whose line is gone, and one that was removed, and says so', async (t) => {
  const { put, run, read } = openSite(t);
  const [job, other] = [put('job'), put('other')];
  assert.equal((await run('jobs', '--write', job, other)).exit, 0);
  writeFileSync(job, '#!/bin/sh\ntrue\n');
  rmSync(other);
  const back = await run('back');
  assert.equal(back.exit, 1, back.text);
  assert.match(back.text, /job: it was changed since, and the line is not in it: left as it is; the copy is/);
  assert.match(back.text, /other: there is no such file/);
  assert.equal(read('job'), '#!/bin/sh\ntrue\n');
});

asRoot('links, files with two names, and what others can write are refused, each with why', async (t) => {
  const { at, put, run } = openSite(t);
  const refused: [string, RegExp][] = [];
  put('job');
  symlinkSync(at('job'), at('link'));
  refused.push([at('link'), /it is a link, or no plain file/]);
  mkdirSync(at('folder'));
  put('folder/job');
  symlinkSync('folder', at('way'));
  refused.push([at('way/job'), /ENOTDIR|no directory|a symbolic link is on the way/]);
  linkSync(at('job'), at('second'));
  refused.push([at('second'), /has 2 names \(hard links\)/]);
  refused.push([put('open', script, 0o757), /can be changed by every user \(mode 0757\)/]);
  refused.push([put('grouped', script, 0o775, nobody), /can be changed by group/]);
  mkdirSync(at('public'));
  put('public/job');
  chmodSync(at('public'), 0o1777);
  refused.push([at('public/job'), /every user may make files in/]);
  mkdirSync(at('foreign'));
  put('foreign/job');
  chownSync(at('foreign'), nobody, nobody);
  refused.push([at('foreign/job'), /belongs to nobody, who can change it/]);
  refused.push([at('folder'), /it is a link, or no plain file/]);
  refused.push([put('binary', '#!/bin/sh\ndoveadm who\n', 0o755), /holds more than text/]);
  writeFileSync(at('binary'), Buffer.concat([Buffer.from(script), Buffer.from([0xff, 0xfe])]));
  // bounds.jobBytes
  refused.push([put('long', script + '#'.repeat(bounds.jobBytes)), /has more than 256 KiB/]);
  refused.push(['/var/spool/cron/crontabs/bob', /name it as crontab:bob/]);
  for (const [path, why] of refused) assert.match((await run('jobs', '--write', path)).text, why, path);
  assert.deepEqual(
    ['job', 'folder/job', 'open', 'public/job', 'foreign/job'].map((name) => readFileSync(at(name), 'utf8')),
    Array.from({ length: 5 }, () => script),
  );
});

asRoot(
  'another file, or a link, that takes the place of the file or of its folder meanwhile is not written',
  (t) => {
    const { at, put, read, secret, job } = openHome(t, 0o755);
    const begun = openJobFile(job);
    renameSync(job, `${job}.mine`);
    symlinkSync(secret, job);
    assert.throws(() => begun.write(moved));
    rmSync(job);
    put('home/job', '#!/bin/sh\nmine\n', 0o755, nobody);
    assert.throws(() => begun.write(moved), /was changed meanwhile; nothing was written/);
    assert.equal(read('home/job'), '#!/bin/sh\nmine\n');

    const again = openJobFile(job);
    renameSync(at('home'), at('old'));
    mkdirSync(at('elsewhere'));
    put('elsewhere/job', 'of root\n');
    symlinkSync('elsewhere', at('home'));
    assert.throws(() => again.write(moved));
    assert.deepEqual([read('elsewhere/job'), read('secret')], ['of root\n', 'secret\n']);
    assert.deepEqual(readdirSync(at('elsewhere')), ['job']);
  },
);

asRoot(
  'a name that the owner of the folder planted is replaced, and its target is not; the work is done by that user',
  (t) => {
    const { at, read, secret, job } = openHome(t, 0o555);
    symlinkSync(secret, at('home/.job.dovegate.new'));
    openJobFile(job).write(moved);
    assert.equal(read('home/job'), moved);
    assert.equal(read('secret'), 'secret\n');
    const { uid, mode } = lstatSync(job);
    assert.deepEqual([uid, mode & 0o7777], [nobody, 0o555]);
    assert.deepEqual(readdirSync(at('home')), ['job']);
  },
);

asRoot('copies go into a folder of root alone, or nothing is written', async (t) => {
  const { at, put, run, read } = openSite(t);
  const job = put('job');
  mkdirSync(at('copies'));
  chmodSync(at('copies'), 0o755);
  const open = await run('jobs', '--write', job);
  assert.equal(open.exit, 1, open.text);
  assert.match(open.text, /is to be root's alone \(mode 0700\)/);
  chmodSync(at('copies'), 0o700);
  chownSync(at('copies'), nobody, nobody);
  assert.match((await run('jobs', '--write', job)).text, /belongs to nobody/);
  rmSync(at('copies'), { recursive: true });
  symlinkSync(at(''), at('copies'));
  assert.match((await run('jobs', '--write', job)).text, /is a symbolic link/);
  assert.equal(read('job'), script);
});

asRoot('a crontab is read and written by crontab -u alone', async (t) => {
  const { at, put, run, read } = openSite(t);
  const programs = fakePrograms(t);
  searchIn(t, programs.path);
  const crontab = '0 3 * * * doveadm quota get -A\n';
  put('tab', crontab, 0o600);
  programs.write(
    'crontab',
    `[ "$1 $2" = "-u backup" ] || exit 1\n[ "$3" = -l ] && exec cat ${at('tab')}\ncat > ${at('tab')}`,
  );
  const env = { PATH: programs.path };
  const done = await runWarm(['move', 'jobs', '--copies', at('copies'), '--write', 'crontab:backup'], {
    env,
  });
  assert.equal(done.exit, 0, done.text);
  assert.equal(read('tab'), `PATH=/usr/lib/dovegate/bin:/usr/local/bin:/usr/bin:/bin\n${crontab}`);
  const back = await runWarm(['move', 'back', '--copies', at('copies'), 'crontab:backup'], { env });
  assert.equal(back.exit, 0, back.text);
  assert.equal(read('tab'), crontab);
  assert.match((await run('jobs', 'crontab:carol')).text, /crontab/);
});

void test('jobs of cron that call doveadm are found with their users, also by the script that a line names', (t) => {
  const root = openFolder(t);
  const put = (path: string, text: string): void => {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  put('/etc/crontab', '17 * * * * root run-parts /etc/cron.hourly\n');
  put(
    '/etc/cron.d/mail',
    '# doveadm\n0 3 * * * vmail doveadm purge -A\n@daily root /usr/local/bin/report -q\n',
  );
  put('/etc/cron.daily/trash', '#!/bin/sh\ndoveadm expunge -A mailbox Trash savedbefore 30d\n');
  put('/etc/cron.daily/other', '#!/bin/sh\n# no doveadm\n');
  put('/usr/local/bin/report', '#!/usr/bin/perl\nsystem("doveadm who");\n');
  put('/var/spool/cron/crontabs/anna', '1 1 * * * doveadm quota get -u anna\n2 2 * * * /bin/true\n');
  put('/bin/true', 'ELF doveadm');
  assert.deepEqual(
    [...jobsHere(root)].map(([user, names]) => [user, ...names]),
    [
      ['vmail', '/etc/cron.d/mail'],
      ['root', '/usr/local/bin/report', '/etc/cron.daily/trash'],
      ['anna', 'crontab:anna'],
    ],
  );
  // bounds.jobScripts
  const others = Array.from({ length: bounds.jobScripts }, (_, n) => `1 1 * * * /bin/job${n}\n`).join('');
  put('/var/spool/cron/anna', `${others}1 1 * * * /usr/local/bin/late\n`);
  put('/usr/local/bin/late', script);
  assert.ok(![...jobsHere(root).values()].some((names) => names.has('/usr/local/bin/late')));
});
