import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { foreignFunctions } from '../binding.ts';
import { performMounts } from '../mount.ts';
import { parentsOption } from './layer-mount.ts';
import { windowsFiles } from './kernel32.ts';
import { checkResult } from './result.ts';
import { layerService, layerTypes } from './vmcompute.ts';

const skip = needs('linux');

test(
  'a Windows layer is not mounted elsewhere, and the message says what can be done',
  { skip },
  async () => {
    await using dir = await mkdtempDisposable(`${tmpdir()}/windows-mount-`);
    const mount = {
      type: 'windows-layer',
      source: '/x',
      options: ['rw', parentsOption(['/base'])],
    };
    await assert.rejects(performMounts([mount], dir.path), {
      code: 'NOT_IMPLEMENTED',
      message: /mounted by Windows only.*mica ls/,
    });
    assert.deepEqual(await readdir(dir.path), []);
  },
);

test("Windows' libraries are not looked for elsewhere", { skip }, () => {
  assert.throws(layerService, { code: 'NOT_IMPLEMENTED', message: /Windows only/ });
  assert.throws(windowsFiles, { code: 'NOT_IMPLEMENTED', message: /Windows only/ });
});

test('the structures have the sizes and places that the published headers give them', () => {
  const koffi = foreignFunctions();
  const { guid, driver, descriptor } = layerTypes();
  assert.deepEqual(
    [guid, driver, descriptor].map((type) => koffi.sizeof(type)),
    [16, 16, 32],
  );
  assert.equal(koffi.offsetof(descriptor, 'Flags'), 16);
  assert.equal(koffi.offsetof(descriptor, 'Path'), 24);
  assert.equal(koffi.offsetof(driver, 'HomeDir'), 8);
});

const RESULTS: readonly (readonly [result: number, code: string | undefined])[] = [
  [0, undefined],
  [1, undefined],
  [0x80070002 | 0, 'NOT_FOUND'],
  [0x80070005 | 0, 'PERMISSION_DENIED'],
  [0x80070070 | 0, 'RESOURCE_EXHAUSTED'],
  [0x80004005 | 0, 'INTERNAL'],
];
for (const [result, code] of RESULTS)
  test(`the result 0x${(result >>> 0).toString(16)} is ${code ?? 'no error'}`, () => {
    if (code === undefined) checkResult('x', result);
    else assert.throws(() => checkResult('x', result), { code });
  });
