// Every npm script starts here: Mica needs the Node that `npm install` brings when the system's own is older.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  console.error(
    `mica needs Node 24.12 or newer, but this is ${process.versions.node}. ` +
      'Run `npm install` without --ignore-scripts: it brings a suitable Node (package "node") for every npm script.',
  );
  process.exit(1);
}
