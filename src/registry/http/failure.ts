import { MicaError } from '../../errors.ts';
import { harmless, RegistryError } from '../error.ts';

/** Errors after which the same request may succeed. */
const transient = new WeakSet<Error>();

export function asTransient<E extends Error>(error: E): E {
  transient.add(error);
  return error;
}

const STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Whether the request that failed with `error` is worth repeating. */
export const isTransient = (error: unknown): boolean =>
  error instanceof RegistryError
    ? STATUSES.has(error.status)
    : error instanceof Error && transient.has(error);

/** A URL as errors and logs may show it: without credentials and query. */
export const shown = (url: URL): string => harmless(`${url.origin}${url.pathname}`, 500);

const CERTIFICATE =
  /^(?:CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|ERR_TLS_CERT|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;
const NOT_TLS = /^(?:EPROTO|ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST))/;
const DROPPED =
  /^(?:UND_ERR_(?:CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|SOCKET|RES_CONTENT_LENGTH_MISMATCH)|HPE_INVALID_EOF_STATE|HPE_CLOSED_CONNECTION|E(?:CONN(?:RESET|REFUSED|ABORTED)|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|NETDOWN|AI_AGAIN))$/;

/** An error like those of sockets and undici, for what reads the wire itself. */
export const networkFailure = (code: string, message: string): Error =>
  Object.assign(new Error(message), { code });

/** What to do about connections that did not come about, by the code of their error. */
const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: '; nothing listens there: check that the server runs, and its port',
  ENOTFOUND: '; check how the host is spelt, and the name servers of this machine',
};

/** What went wrong below HTTP, as an error of ours. */
export function networkError(cause: unknown, method: string, url: URL): MicaError {
  // The body of a request could not be read: not the network's fault.
  if (cause instanceof MicaError) return cause;
  const { code = '', message } = cause as Error & { readonly code?: string };
  const request = `${method} ${shown(url)}`;
  const reason = harmless(message, 300) || code;
  if (CERTIFICATE.test(code))
    return new MicaError(
      'FAILED_PRECONDITION',
      `${request}: the certificate of ${url.host} is not trusted (${reason.split(';', 1)[0]}); put its CA into /etc/docker/certs.d/${url.host}/ca.crt, or declare the registry insecure`,
      { cause },
    );
  if (NOT_TLS.test(code))
    return new MicaError(
      'FAILED_PRECONDITION',
      `${request}: ${url.host} does not speak TLS; if it is meant to speak plain HTTP, declare it insecure`,
      { cause },
    );
  const error = new MicaError('UNAVAILABLE', `${request}: ${reason}${ADVICE[code] ?? ''}`, {
    cause,
  });
  return DROPPED.test(code) ? asTransient(error) : error;
}
