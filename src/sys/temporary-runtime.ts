import { readFileSync } from 'node:fs';

/** Where what ends with the machine is kept for a user who has no directory for that. Others may have made it. */
export const temporaryRuntime = (): string => `/tmp/mica-run-${outerUser()}`;

/** The id of this user where his namespace was made: in there, everybody is root. */
function outerUser(): number {
  const user = process.geteuid?.() ?? 0;
  try {
    for (const line of readFileSync('/proc/self/uid_map', 'latin1').trim().split('\n')) {
      const [inside = 0, outside = 0, length = 0] = line.trim().split(/\s+/).map(Number);
      if (user >= inside && user < inside + length) return outside + user - inside;
    }
  } catch {
    // No Linux: no namespaces.
  }
  return user;
}
