import { readFileSync } from 'node:fs';
import { MicaError } from '../../../errors.ts';
import type { ContainerOptions } from '../../../runtime/spec/options.ts';
import { parseProfile, type SeccompDocument } from '../../../runtime/spec/seccomp/document.ts';
import { fromNode } from '../../../sys/errno.ts';

type Security = Pick<ContainerOptions, 'noNewPrivileges' | 'seccomp' | 'unhidden'>;
type Writable = { -readonly [K in keyof Security]: Security[K] };

/** docker's `--security-opt`s; the last of each counts. */
export function securityOf(options: readonly string[]): Security {
  const found: Writable = {};
  for (const option of options) {
    const [, name, value] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(option) ?? [];
    if (name === 'no-new-privileges') found.noNewPrivileges = booleanOf(option, value);
    else if (name === 'seccomp') found.seccomp = seccompOf(option, value);
    else if (name === 'systempaths' && value === 'unconfined') found.unhidden = true;
    else if (!isOff(name, value)) refuse(option, name);
  }
  return found;
}

/** It is off anyway. */
const isOff = (name: string | undefined, value: string | undefined): boolean =>
  (name === 'apparmor' && value === 'unconfined') || (name === 'label' && value === 'disable');

function refuse(option: string, name: string | undefined): never {
  if (name === 'apparmor' || name === 'label')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `--security-opt ${option}: Mica gives processes no AppArmor profile and no SELinux label; run it without, with capabilities and seccomp`,
    );
  throw new MicaError(
    'INVALID_ARGUMENT',
    `--security-opt ${option}: there are no-new-privileges, seccomp=FILE, seccomp=unconfined and systempaths=unconfined`,
  );
}

function booleanOf(option: string, value = 'true'): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  throw new MicaError('INVALID_ARGUMENT', `--security-opt ${option} is neither true nor false`);
}

/** The profile itself is kept with the container, as docker does: its file may go. */
function seccompOf(option: string, value = ''): Security['seccomp'] {
  if (value === 'unconfined') return value;
  if (value === 'builtin') return 'default';
  if (value === '')
    throw new MicaError('INVALID_ARGUMENT', `--security-opt ${option} names no profile`);
  return readProfile(value);
}

function readProfile(path: string): SeccompDocument {
  let bytes;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fromNode(error);
  }
  return parseProfile(bytes, path);
}
