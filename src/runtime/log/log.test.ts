import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdLock } from '../../sys/alive.ts';
import { unmount } from '../../sys/mount/unmount.ts';
import { needs } from '../../testing/need.ts';
import { RUN_FILES } from '../state.ts';
import { LogFile } from './log-file.ts';
import { type LogQuery, readLog } from './read-log.ts';

const texts = async (directory: string, query?: LogQuery): Promise<string[]> =>
  (await Array.fromAsync(readLog(directory, query))).map(({ text }) => text);

async function within(use: (directory: string, path: string) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'log-'));
  await use(dir.path, join(dir.path, RUN_FILES.log));
}

test('lines are whole however output is torn, and streams do not mix', async () => {
  await within(async (directory, path) => {
    const log = new LogFile(path);
    log.write('stdout', Buffer.from('one\ntw'));
    log.write('stderr', Buffer.from('err'));
    log.write('stdout', Buffer.from('o\n\nrest'));
    log.write('stderr', Buffer.from('or\n'));
    log.close();
    const entries = await Array.fromAsync(readLog(directory));
    assert.deepEqual(
      entries.map(({ stream, text }) => `${stream} ${text}`),
      ['stdout one\n', 'stdout two\n', 'stdout \n', 'stderr error\n', 'stdout rest'],
    );
    for (const { time } of entries) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });
});

test('a line without end is cut every 16 KiB, never within a character', async () => {
  await within(async (directory, path) => {
    const log = new LogFile(path);
    const line = `x${'€'.repeat(20_000)}\n`;
    for (const part of line.match(/.{1,1000}/gsu)!) log.write('stdout', Buffer.from(part));
    log.close();
    const pieces = await texts(directory);
    assert.equal(pieces.join(''), line);
    assert.equal(pieces.length, Math.ceil(Buffer.byteLength(line) / 16384));
  });
});

test('what is no text is kept as far as JSON can', async () => {
  await within(async (directory, path) => {
    const log = new LogFile(path);
    log.write('stdout', Buffer.from([0xff, 0x00, 0x22, 0x0a]));
    log.close();
    assert.deepEqual(await texts(directory), ['\ufffd\0"\n']);
  });
});

test('a log divides itself into so many files of so many bytes, and is read across them', async () => {
  await within(async (directory, path) => {
    const log = new LogFile(path, { maxSize: 1000, maxFiles: 3 });
    for (let i = 0; i < 100; i++) log.write('stdout', Buffer.from(`line ${i}\n`));
    log.close();
    const files = readdirSync(directory).sort();
    assert.deepEqual(files, ['log.json', 'log.json.1', 'log.json.2']);
    for (const file of files)
      assert.ok(readFileSync(join(directory, file)).length <= 1000, `${file} is too long`);
    const all = await texts(directory);
    assert.equal(all.at(-1), 'line 99\n');
    assert.deepEqual(
      all,
      Array.from({ length: all.length }, (_, i) => `line ${100 - all.length + i}\n`),
    );
    for (const tail of [0, 1, 5, 20, all.length, 1000])
      assert.deepEqual(await texts(directory, { tail }), tail === 0 ? [] : all.slice(-tail));
  });
});

test('since and until choose by time, and damaged lines are left out', async () => {
  await within(async (directory, path) => {
    const line = (second: number): string =>
      JSON.stringify({ log: `${second}`, stream: 'stdout', time: `2025-01-01T00:00:0${second}Z` });
    writeFileSync(
      path,
      `${line(1)}\n${line(2)}\n{"log":"torn\n\n[]\n${line(3)}\n${line(4).slice(0, 20)}`,
    );
    const at = (second: number): number => Date.parse(`2025-01-01T00:00:0${second}Z`);
    assert.deepEqual(await texts(directory), ['1', '2', '3']);
    assert.deepEqual(await texts(directory, { since: at(2) }), ['2', '3']);
    assert.deepEqual(await texts(directory, { until: at(2) }), ['1', '2']);
  });
});

test('following sees what is added, in new files too, and ends with the monitor', async () => {
  await within(async (directory, path) => {
    const alive = holdLock(join(directory, RUN_FILES.lock));
    const log = new LogFile(path, { maxSize: 300, maxFiles: 2 });
    log.write('stdout', Buffer.from('0\n'));
    const seen: string[] = [];
    for await (const { text } of readLog(directory, { follow: true })) {
      seen.push(text.trim());
      const next = seen.length;
      if (next < 12) log.write('stdout', Buffer.from(`${next}\n`));
      if (next !== 12) continue;
      log.close();
      alive[Symbol.dispose]();
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 12 }, (_, i) => String(i)),
    );
  });
});

test('following goes on where nothing more can be watched', { skip: needs('userns') }, async () => {
  await within(async (directory, path) => {
    const log = new LogFile(path);
    log.write('stdout', Buffer.from('one\ntwo\n'));
    log.close();
    const script = `
      const { readLog } = await import(process.argv[1]);
      for await (const { text } of readLog(process.argv[2], { follow: true })) process.stdout.write(text);`;
    const node = [process.execPath, '--input-type=module', '--eval', script];
    const words = [...node, join(import.meta.dirname, 'read-log.ts'), directory];
    // Where no limits can be set, at least the rest holds.
    const shell = 'echo 0 2> /dev/null > /proc/sys/user/max_inotify_instances; exec "$@"';
    const inside = ['--user', '--map-root-user', 'sh', '-c', shell, 'sh', ...words];
    assert.equal(execFileSync('unshare', inside, { encoding: 'utf8' }), 'one\ntwo\n');
  });
});

test('following can be aborted', async () => {
  await within(async (directory, path) => {
    using _ = holdLock(join(directory, RUN_FILES.lock));
    appendFileSync(path, '');
    const signal = AbortSignal.timeout(50);
    await assert.rejects(texts(directory, { follow: true, signal }), { name: 'TimeoutError' });
  });
});

test(
  'a full disk drops whole lines, counts them, and writing goes on when there is room',
  { skip: needs('root') },
  async () => {
    await within(async (directory) => {
      const disk = join(directory, 'disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', disk]);
      try {
        const log = new LogFile(join(disk, RUN_FILES.log));
        const line = Buffer.from(`${'x'.repeat(999)}\n`);
        for (let i = 0; i < 100; i++) log.write('stdout', line);
        const before = await texts(disk);
        assert.equal(log.lost, (100 - before.length) * 1000);
        assert.ok(before.length > 40 && before.length < 65, `${before.length} lines`);
        execFileSync('mount', ['-o', 'remount,size=128k', disk]);
        log.write('stdout', Buffer.from('after\n'));
        log.close();
        assert.deepEqual((await texts(disk)).slice(before.length), ['after\n']);
      } finally {
        unmount(disk, { detach: true });
      }
    });
  },
);
