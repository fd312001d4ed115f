import { MicaError } from '../../../errors.ts';
import type { DeviceOption, DeviceRuleOption } from '../../../runtime/spec/options.ts';
import { absolute } from './paths.ts';

const ACCESS = /^(?!.*(.).*\1)[rwm]{1,3}$/;

/** `HERE[:THERE][:rwm]`, as docker has it. */
export function parseDevice(text: string): DeviceOption {
  if (/^[^/]+\/[^/]+=/.test(text))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `--device ${text}: descriptions of devices (CDI) are not read; name the nodes, --device /dev/NAME`,
    );
  const [source = '', ...more] = text.split(':');
  const access = ACCESS.test(more.at(-1) ?? '') ? more.pop() : undefined;
  const [target = source, ...rest] = more;
  if (rest.length > 0)
    throw new MicaError('INVALID_ARGUMENT', `--device ${text} is not HERE[:THERE][:rwm]`);
  return {
    source: absolute('--device', source),
    target: absolute('--device', target),
    access: access ?? 'rwm',
  };
}

/** `c 189:* rmw`, as docker and the kernel have it. */
export function parseDeviceRule(text: string): DeviceRuleOption {
  const [, type, major, minor, access = ''] =
    /^([abc]) (\d{1,10}|\*):(\d{1,10}|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined || !ACCESS.test(access))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `--device-cgroup-rule ${JSON.stringify(text)} is not "TYPE MAJOR:MINOR rwm", e.g. "c 189:* rmw"`,
    );
  return {
    type: type as DeviceRuleOption['type'],
    major: major === '*' ? undefined : Number(major),
    minor: minor === '*' ? undefined : Number(minor),
    access,
  };
}
