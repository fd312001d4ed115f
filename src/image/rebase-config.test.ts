import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rebaseConfig } from './rebase-config.ts';

test('what an image said itself stays, in the order of the new base', () => {
  const { config, conflicts } = rebaseConfig(
    { Env: ['A=1', 'B=1'], Labels: { a: '1' }, User: 'old' },
    { Env: ['A=1', 'B=2', 'C=3'], Labels: { a: '1', own: '' }, User: 'old' },
    { Env: ['D=4', 'B=3', 'A=5'], User: 'new', Labels: { b: '2' } },
  );
  assert.equal(
    JSON.stringify(config),
    '{"Env":["D=4","B=2","A=5","C=3"],"User":"new","Labels":{"b":"2","own":""}}',
  );
  assert.deepEqual(conflicts, [{ field: 'Env B', image: 'B=2', newBase: 'B=3' }]);
});

test('as many labels and variables as a config has room for are merged at once', () => {
  const count = 50_000;
  const Labels = Object.fromEntries(Array.from({ length: count }, (_, at) => [`l${at}`, '']));
  const Env = Array.from({ length: count }, (_, at) => `E${at}=`);
  const before = process.threadCpuUsage();
  const { config } = rebaseConfig({}, { Labels, Env }, {});
  // Of the processor: to copy what there is for each takes minutes.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 20_000_000, `${user} microseconds`);
  assert.equal(config.Env?.length, count);
  assert.equal(Object.keys(config.Labels ?? {}).length, count);
});
