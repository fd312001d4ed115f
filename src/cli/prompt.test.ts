import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Cli } from './cli.ts';
import { exitCodeOf } from './failure.ts';
import { ask, confirm } from './prompt.ts';

function terminal(isTTY: boolean) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const stderr = Object.assign(new PassThrough(), { isTTY });
  const stop = new AbortController();
  const cli = new Cli({ stdin, stdout: new PassThrough(), stderr }, stop.signal);
  /** What the question was. */
  const asked = async (): Promise<string> => String((await once(stderr, 'data'))[0]);
  return { cli, stdin, asked, stop };
}

const [CTRL_C, CTRL_D] = ['\u0003', '\u0004'];

test('what is typed is the answer', async () => {
  const { cli, stdin, asked } = terminal(true);
  const answer = ask(cli, 'Name? ');
  await asked();
  stdin.write('me\r');
  assert.equal(await answer, 'me');
});

for (const end of ['a key', 'the end of the input'])
  test(`a question that is answered with ${end} is answered with no`, async () => {
    const { cli, stdin, asked } = terminal(end === 'a key');
    const answer = confirm(cli, 'Continue?');
    const refused = assert.rejects(answer, { code: 'FAILED_PRECONDITION' });
    await asked();
    if (end === 'a key') stdin.write(CTRL_D);
    else stdin.end();
    await refused;
  });

test('an answer without its line break, at the end of the input, is one', async () => {
  const { cli, stdin, asked } = terminal(false);
  const answer = ask(cli, 'Name? ');
  await asked();
  stdin.end('me');
  assert.equal(await answer, 'me');
});

test('ctrl-c at a question ends the command as SIGINT does', async () => {
  const { cli, stdin, asked } = terminal(true);
  const answer = ask(cli, 'Name? ');
  const code = answer.then(() => 0, exitCodeOf);
  await asked();
  stdin.write(CTRL_C);
  assert.equal(await code, 130);
});

test('a signal that comes at a question ends the command', async () => {
  const { cli, asked, stop } = terminal(true);
  const refused = assert.rejects(ask(cli, 'Name? '), { message: 'enough' });
  await asked();
  stop.abort(new Error('enough'));
  await refused;
});
