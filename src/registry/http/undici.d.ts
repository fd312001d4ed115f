/** The part of undici that is loaded on its own: its index takes half as long again. */
declare module 'undici/lib/dispatcher/pool.js' {
  export { Pool as default } from 'undici';
}
