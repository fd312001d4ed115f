/** Of this package; the build checks that it is the one of package.json. */
export const VERSION = '0.1.0';
