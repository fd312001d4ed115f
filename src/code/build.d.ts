/** Put in by the build: changes with any file of it. */
declare const BUILD: string;
