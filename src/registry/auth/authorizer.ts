import { MicaError } from '../../errors.ts';
import type { Authorizer, Client } from '../http/client.ts';
import type { HttpResponse } from '../http/exchange.ts';
import { isTransient } from '../http/failure.ts';
import { Shared } from '../http/shared.ts';
import type { Credential } from '../options.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basic, fetchToken, type Token } from './token.ts';

export interface OriginAuthOptions {
  readonly client: Client;
  /** What the user calls the registry. */
  readonly registry: string;
  readonly credential: (signal?: AbortSignal) => Promise<Credential | undefined>;
  /** Ends work that several requests share. */
  readonly lifetime: AbortSignal;
}

/** What one origin wants to see, and the tokens it has given us, one per set of scopes. */
export class OriginAuth {
  readonly #options: OriginAuthOptions;
  readonly #tokens = new Map<string, Shared<Token>>();
  /** The way in that its last 401 offered and we took. */
  #challenge: { readonly use: Challenge; readonly registry: URL } | undefined;

  constructor(options: OriginAuthOptions) {
    this.#options = options;
  }

  /** @param scopes e.g. `repository:library/redis:pull` */
  for(scopes: readonly string[]): Authorizer {
    return {
      header: async (signal) => this.#header(scopes, scopes, signal),
      refused: async (response, sent, signal) => {
        const offered = parseChallenges(response.header('www-authenticate') ?? '');
        await response.body.discard();
        const use =
          offered.find(({ scheme }) => scheme === 'bearer') ??
          offered.find(({ scheme }) => scheme === 'basic');
        if (!use) throw this.#refusal(response, 'it offers no way to log in that Mica knows');
        this.#challenge = { use, registry: response.url };
        if (use.scheme === 'bearer') await this.#forget(scopes, sent, signal);
        const wanted = use.parameters.get('scope')?.split(' ') ?? [];
        const header = await this.#header(scopes, [...new Set([...wanted, ...scopes])], signal);
        if (header === undefined) throw this.#refusal(response, 'it asks for a login');
        if (header === sent) throw this.#refusal(response, 'it refuses the login that is stored');
        return header;
      },
    };
  }

  async #header(
    scopes: readonly string[],
    ask: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (this.#challenge?.use.scheme === 'bearer') {
      const token = await this.#token(scopes, ask, signal);
      return `Bearer ${token.value}`;
    }
    const credential = this.#challenge && (await this.#options.credential(signal));
    return credential && basic(credential);
  }

  async #token(
    scopes: readonly string[],
    ask: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const key = scopes.join(' ');
    const known = this.#tokens.get(key);
    if (known && !known.abandoned) {
      const token = await known.wait(signal);
      if (token.expires > performance.now()) return token;
      this.#drop(key, known);
      return this.#token(scopes, ask, signal);
    }
    const fresh = new Shared(this.#options.lifetime, (stop) => this.#fetch(ask, stop));
    this.#tokens.set(key, fresh);
    try {
      // Even one that has expired on its way: a clock is wrong, and the registry may take it.
      return await fresh.wait(signal);
    } catch (error) {
      if (!signal?.aborted) this.#drop(key, fresh);
      throw error;
    }
  }

  #drop(key: string, token: Shared<Token>): void {
    if (this.#tokens.get(key) === token) this.#tokens.delete(key);
  }

  async #fetch(scopes: readonly string[], signal: AbortSignal): Promise<Token> {
    const { client, registry } = this.#options;
    const { use, registry: url } = this.#challenge!;
    const credential = await this.#options.credential(signal);
    const realm = use.parameters.get('realm') ?? '';
    const server = { realm, service: use.parameters.get('service'), registry: url };
    try {
      return await fetchToken(client, server, { scopes, credential, signal });
    } catch (cause) {
      if (!(cause instanceof MicaError) || isTransient(cause)) throw cause;
      const who = credential?.username ? ` as ${credential.username}` : '';
      throw new MicaError(cause.code, `no token for ${registry}${who}: ${cause.message}`, {
        cause,
      });
    }
  }

  /** Drops the token that was refused, unless another request has replaced it. */
  async #forget(
    scopes: readonly string[],
    sent: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const key = scopes.join(' ');
    const known = this.#tokens.get(key);
    const token = await known?.wait(signal).catch(() => undefined);
    if (known && token && sent === `Bearer ${token.value}`) this.#drop(key, known);
  }

  #refusal(response: HttpResponse, reason: string): MicaError {
    const { registry } = this.#options;
    return new MicaError(
      'UNAUTHENTICATED',
      `${registry} answered ${response.status}: ${reason}; try "mica login ${registry}"`,
    );
  }
}
