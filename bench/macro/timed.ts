import { spawnSync } from 'node:child_process';

/** Runs a script of bash, `$0` being `argument`. @returns seconds; CPU of all that it started and waited for */
export function timed(script: string, argument: string): { wall: number; cpu: number } {
  const start = process.hrtime.bigint();
  const { status, stdout, stderr } = spawnSync('bash', ['-c', `${script} && times`, argument], {
    encoding: 'utf8',
  });
  const wall = Number(process.hrtime.bigint() - start) / 1e9;
  if (status !== 0) throw new Error(`exit ${status}: ${script}\n${stderr}`);
  const times = [...stdout.matchAll(/(\d+)m([\d.]+)s/g)];
  const cpu = times.reduce((sum, [, minutes, s]) => sum + Number(minutes) * 60 + Number(s), 0);
  return { wall, cpu };
}
