import type { SecureContext } from 'node:tls';

/** How the other end proves who it is, and we do; everything as PEM. */
export interface TlsOptions {
  /** Trusted besides what Node trusts. */
  readonly ca?: readonly string[] | undefined;
  readonly client?: { readonly cert: string; readonly key: string } | undefined;
  readonly skipVerify?: boolean | undefined;
}

/** What Node's sockets need for it. One context serves all connections: parsing a list of CAs takes 60 ms. */
export async function connectOptions(
  { ca, client, skipVerify }: TlsOptions,
  trustSystem: boolean,
): Promise<{ secureContext?: SecureContext; rejectUnauthorized?: false }> {
  const verify = skipVerify ? { rejectUnauthorized: false as const } : {};
  if (!ca && !client && !trustSystem) return verify;
  const { createSecureContext, getCACertificates } = await import('node:tls');
  const system = trustSystem ? getCACertificates('system') : [];
  const trusted = new Set([...getCACertificates('default'), ...system, ...(ca ?? [])]);
  return { ...verify, secureContext: createSecureContext({ ca: [...trusted], ...client }) };
}

/** Whether a connection failed because nobody we trust vouches for the certificate. */
export const isUntrusted = (error: unknown): boolean =>
  error instanceof Error &&
  error.cause instanceof Error &&
  /^(?:UNABLE_TO_(?:GET_ISSUER|VERIFY_LEAF)|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)/.test(
    (error.cause as NodeJS.ErrnoException).code ?? '',
  );
